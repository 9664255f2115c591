"""A gateway's health and metrics, as far as the settings enable them, on its own port or on the API's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fastapi import FastAPI
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric

from moonx_pipeline.gateway.callers import Gateway
from moonx_pipeline.gateway.exporter import Exporter
from moonx_pipeline.gateway.health import Health
from moonx_pipeline.gateway.routes import health, metrics
from moonx_pipeline.metrics.gauges import gauge
from moonx_pipeline.metrics.serving import listen, serve

_USUAL_PORT: Final = 3001


class Monitoring:
    """Health and metrics of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        """Reads nothing before ``start``.

        Raises:
            OperatorError: The port that is configured for it is taken.
        """
        self._live = gateway.live
        self._settings = gateway.settings.monitoring
        self._health = Health(gateway)
        self._exporter = Exporter(gateway.engine, gateway.settings)
        host, port = self._settings.host, self._settings.gateway_metrics_port
        self._listening = (
            listen(host, port, default=_USUAL_PORT, setting="GATEWAY_METRICS_PORT") if port is not None else None
        )

    def add_routes(self, app: FastAPI) -> None:
        """Adds the routes that the settings enable. That the process lives is told on the API's port in any case."""
        if self._settings.health_checks:
            app.include_router(health.router)
        if self._listening is not None:
            return
        if self._settings.health_checks:
            app.state.health = self._health
            app.include_router(health.readiness_router)
        if self._settings.prometheus:
            app.state.metrics = self._registry()
            if self._settings.health_checks:
                app.state.metrics.register(self._health.readiness)
            app.include_router(metrics.router)

    def _registry(self) -> CollectorRegistry:
        """The process's metrics and this gateway's own."""
        registry = CollectorRegistry()
        registry.register(REGISTRY)
        registry.register(self)
        registry.register(self._exporter)
        return registry

    def collect(self) -> Iterator[Metric]:
        """The gateway's own gauges."""
        yield gauge("websocket_connections", self._live.connections)

    def start(self) -> None:
        """Starts the exporter and the health checks, and the port of their own."""
        if self._listening is not None:
            serve(self._listening, self._settings, registry=self._registry(), readiness=self._health.readiness)
        elif self._settings.health_checks:
            self._health.readiness.watch(self._settings.health_interval_ms / 1000)
        if self._settings.prometheus:
            self._exporter.start()

    def stop(self) -> None:
        """Stops what ``start`` began."""
        self._exporter.stop()
