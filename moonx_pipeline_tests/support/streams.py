"""Opening event streams and reading them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moonx_pipeline.events.stream import (
    EventStream,
    StreamedEvent,
    StreamUnavailable,
)


@contextmanager
def opened(stream: EventStream) -> Iterator[Callable[[int], list[StreamedEvent]]]:
    """An open stream, as a function that waits for so many events."""

    def take(count: int) -> list[StreamedEvent]:
        found: list[StreamedEvent] = []
        end = time.monotonic() + 60
        while len(found) < count and time.monotonic() < end:
            try:
                found += stream.read(0.5)
            except StreamUnavailable:
                time.sleep(0.05)
        return found

    stream.open()
    try:
        yield take
    finally:
        stream.close()


def versions(events: list[StreamedEvent], key: str = "ann") -> list[int]:
    return [e.value["version"] for e in events if e.key == key]
