"""Progress of running syncs: sent by workers, shown to open pages, never stored."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Engine

from moonx_pipeline.events.stream import StreamUnavailable
from moonx_pipeline.storage.connection.notifications import CONNECTION_ERRORS, Listener
from moonx_pipeline.storage.syncs.progress import CHANNEL


class Progress(msgspec.Struct, rename="camel", frozen=True):
    """A worker's notification, as JSON."""

    user_id: str
    sync_operation_id: str
    chain_id: int
    state: str
    reason: str | None = None
    code: str | None = None
    retry_at: str | None = None

    def data(self) -> dict[str, Any]:
        """The message for the user's sockets."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        del told["userId"]
        return told


_decode = msgspec.json.Decoder(Progress).decode


class ProgressSource:
    """Reads the channel. Progress comes by PostgreSQL even if events come by Kafka."""

    def __init__(self, engine: Engine) -> None:
        """Connects nothing before ``open``."""
        self._engine = engine
        self._listener: Listener | None = None

    def open(self) -> None:
        """Listens.

        Raises:
            StreamUnavailable: The database is away.
        """
        if self._listener is None:
            try:
                self._listener = Listener(self._engine, CHANNEL)
            except CONNECTION_ERRORS as problem:
                raise self._unavailable(problem) from None

    def read(self, seconds: float) -> list[Progress]:
        """The notifications, in their order; malformed ones are left out.

        Raises:
            StreamUnavailable: The database is away.
        """
        self.open()
        assert self._listener is not None  # noqa: S101 - it is open
        try:
            texts = self._listener.wait(seconds)
        except CONNECTION_ERRORS as problem:
            raise self._unavailable(problem) from None
        return [progress for text in texts if (progress := _progress(text)) is not None]

    def has_skipped(self) -> bool:
        """Always ``False``: missed progress is obsolete, so there is nothing to catch up on."""
        return False

    def close(self) -> None:
        """Closes the connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _unavailable(self, problem: Exception) -> StreamUnavailable:
        self.close()
        return StreamUnavailable(f"The database is away: {str(getattr(problem, 'orig', problem)).strip()}")


def _progress(text: str) -> Progress | None:
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None
