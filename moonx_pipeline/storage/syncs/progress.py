"""The progress of a sync, sent to current listeners and never stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.domain.events import rfc3339

CHANNEL: Final = "moonx_progress"

_REASON_LENGTH: Final = 500
"""PostgreSQL transmits less than 8,000 bytes a message; this many characters are at most 3,000 bytes of JSON."""

_encode = msgspec.json.Encoder().encode


class ChainProgress(NamedTuple):
    """The state of one chain of a sync.

    Attributes:
        chain_id: The chain.
        state: ``reading``, ``done``, ``failed`` or ``skipped``.
        reason: Why it failed or was skipped; cut to 500 characters.
        retry_at: When it may be asked again, if known.
        code: The reason for programs; see ``ChainBalances.error_code``.
    """

    chain_id: int
    state: str
    reason: str | None = None
    retry_at: datetime | None = None
    code: str | None = None


def notify_progress(connection: Connection, user_id: str, operation_id: UUID, chains: Iterable[ChainProgress]) -> None:
    """Notifies listeners on ``moonx_progress``, a message for each chain of a sync.

    Args:
        connection: In autocommit mode, so that they are sent at once.
        user_id: The user.
        operation_id: The sync.
        chains: The states of chains.
    """
    messages = [_message(user_id, operation_id, chain) for chain in chains]
    connection.exec_driver_sql("SELECT pg_notify(%s, message) FROM unnest(%s::text[]) message", (CHANNEL, messages))


def _message(user_id: str, operation_id: UUID, chain: ChainProgress) -> str:
    reason = chain.reason
    if reason is not None and len(reason) > _REASON_LENGTH:
        reason = reason[: _REASON_LENGTH - 1] + "…"
    payload = {
        "userId": user_id,
        "syncOperationId": str(operation_id),
        "chainId": chain.chain_id,
        "state": chain.state,
        "reason": reason,
        "retryAt": rfc3339(chain.retry_at) if chain.retry_at else None,
        "code": chain.code,
    }
    return _encode(payload).decode()
