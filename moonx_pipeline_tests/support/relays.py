"""A relay in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine

from moonx_pipeline.events.relay import Relay
from moonx_pipeline.settings.events import KafkaSettings


@contextmanager
def running(engine: Engine, kafka: KafkaSettings) -> Iterator[Relay]:
    relay = Relay(engine, kafka)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield relay
    finally:
        relay.stop()
        thread.join(60)
        assert not thread.is_alive()
