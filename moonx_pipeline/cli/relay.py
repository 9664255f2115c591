"""``moonx relay``: publishes the outbox to Kafka."""

from __future__ import annotations

import signal

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import WrongUse


@click.command()
def relay() -> None:
    """Publish events to Kafka until stopped; several relays share the work."""
    from moonx_pipeline.events.monitoring import serve_relay
    from moonx_pipeline.events.relay import Relay
    from moonx_pipeline.logs import log_warnings, set_up_logs
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.tracing import start_tracing

    settings = load_settings()
    set_up_logs(settings)
    log_warnings(settings)
    start_tracing(settings, "relay")
    if not settings.kafka.brokers:
        raise WrongUse("There is no Kafka to publish to: set KAFKA_BROKERS, such as localhost:9092.")
    engine = ready_engine(settings)
    running = Relay(engine, settings.kafka)
    serve_relay(settings, engine, running)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: running.stop())
    echo(f"Publishing to Kafka at {', '.join(settings.kafka.brokers)}; Ctrl-C stops after the batch under way.")
    running.run()
    echo("Stopped; what is left waits in the outbox.")
