"""A relay's metrics and health."""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY
from sqlalchemy import Engine

from moonx_pipeline.events.brokers import why_unreachable
from moonx_pipeline.events.relay import Relay
from moonx_pipeline.metrics.health import Check, Readiness
from moonx_pipeline.metrics.serving import is_wanted, listen, serve
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import health_engine, why_unusable

_FIRST_PORT: Final = 3002


def serve_relay(settings: Settings, engine: Engine, relay: Relay) -> None:
    """Serves metrics and health from a thread, until the process ends.

    Raises:
        OperatorError: The configured port is taken.
    """
    monitoring, kafka = settings.monitoring, settings.kafka
    if not is_wanted(monitoring):
        return
    port = monitoring.relay_metrics_port
    listening = listen(monitoring.host, port, default=_FIRST_PORT, setting="RELAY_METRICS_PORT")
    health = health_engine(engine)
    readiness = Readiness(
        {
            "database": Check(True, lambda: why_unusable(health)),
            "kafka": Check(True, lambda: relay.kafka_problem or why_unreachable(kafka)),
        }
    )
    serve(listening, monitoring, registry=REGISTRY, readiness=readiness)
