"""How far running syncs are: told by workers as they go, shown if somebody looks, and never kept."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Engine

from moonx_pipeline.events.stream import StreamUnavailable
from moonx_pipeline.storage.connection.notifications import CONNECTION_ERRORS, Listener
from moonx_pipeline.storage.syncs.progress import CHANNEL


class Progress(msgspec.Struct, rename="camel", frozen=True):
    """What a worker notifies the channel of, as JSON."""

    user_id: str
    sync_operation_id: str
    chain_id: int
    state: str
    reason: str | None = None
    code: str | None = None
    retry_at: str | None = None

    def data(self) -> dict[str, Any]:
        """What the user's sockets are told."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        del told["userId"]
        return told


_decode = msgspec.json.Decoder(Progress).decode


class ProgressSource:
    """Reads the channel. It comes by PostgreSQL, also where events come by Kafka."""

    def __init__(self, engine: Engine) -> None:
        """Takes where to listen; nothing is connected yet."""
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
        """What came, in its order; what is not of the form is left out.

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
        """Never: what was not heard is of no use any more."""
        return False

    def close(self) -> None:
        """Ends the session."""
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
