"""``moonx events``: follows the event stream, or publishes it again."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.domain.event_types import TOPIC_NAMES
from moonx_pipeline.errors import WrongUse


@click.group()
def events() -> None:
    """Read the event stream, or publish kept events again."""


@events.command()
@click.option("--topic", type=click.Choice(TOPIC_NAMES), help="Only this topic.")
@click.option("--user", "user_id", help="Only this user's.")
@click.option("--from-beginning", is_flag=True, help="Kept events first.")
@click.option("--json", "as_json", is_flag=True, help="Each event's whole JSON, a line each.")
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many.")
def tail(topic: str | None, user_id: str | None, from_beginning: bool, as_json: bool, count: int | None) -> None:
    """Follow events as a consumer sees them, until Ctrl-C: from Kafka, or from the outbox where there is none."""
    import msgspec

    from moonx_pipeline.events.stream import event_stream
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine

    settings = load_settings()
    encode = msgspec.json.Encoder(decimal_format="number").encode
    stream = event_stream(ready_engine(settings), settings.kafka, from_beginning=from_beginning)
    wanted = (
        event
        for event in stream
        if (topic is None or event.topic == topic) and (user_id is None or event.key == user_id)
    )
    for event in islice(wanted, count):
        value = event.value
        if as_json:
            echo(encode(value).decode())
        else:
            echo(f"{value['timestamp']}  {value['eventType']:<18} {event.key}  v{value['version']}")


@events.command()
@click.option("--since", required=True, help="Time in RFC 3339, such as 2026-03-01T12:00:00Z.")
@click.option("--user", "user_id", help="Only this user's.")
def replay(since: str, user_id: str | None) -> None:
    """Publish kept events to Kafka again, in order and with their ids; consumers drop those they have seen."""
    from moonx_pipeline.events.replay import replay_events
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine

    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise WrongUse(f"'{since}' is no time in RFC 3339: write it as 2026-03-01T12:00:00Z.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    settings = load_settings()
    if not settings.kafka.brokers:
        raise WrongUse("There is no Kafka to publish to: set KAFKA_BROKERS, such as localhost:9092.")
    count = replay_events(ready_engine(settings), settings.kafka, since=moment, user_id=user_id)
    echo(f"Published {count} event{'s' * (count != 1)} again.")
