"""The progress of a sync, sent to current listeners and never stored."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from moonx_pipeline.domain.events import rfc3339

CHANNEL: Final = "moonx_progress"

_REASON_LENGTH: Final = 500
"""PostgreSQL transmits less than 8,000 bytes a message; this many characters are at most 3,000 bytes of JSON."""

_encode = msgspec.json.Encoder().encode


def notify_progress(
    connection: Connection,
    *,
    user_id: str,
    operation_id: UUID,
    chain_id: int,
    state: str,
    reason: str | None,
    retry_at: datetime | None,
    code: str | None = None,
) -> None:
    """Notifies listeners on ``moonx_progress`` of the state of one chain of a sync.

    Args:
        connection: In autocommit mode, so that it is sent at once.
        user_id: The user.
        operation_id: The sync.
        chain_id: The chain.
        state: ``reading``, ``done``, ``failed`` or ``skipped``.
        reason: Why it failed or was skipped; cut to 500 characters.
        retry_at: When it may be asked again, if known.
        code: The reason for programs; see ``ChainBalances.error_code``.
    """
    if reason is not None and len(reason) > _REASON_LENGTH:
        reason = reason[: _REASON_LENGTH - 1] + "…"
    payload = {
        "userId": user_id,
        "syncOperationId": str(operation_id),
        "chainId": chain_id,
        "state": state,
        "reason": reason,
        "retryAt": rfc3339(retry_at) if retry_at else None,
        "code": code,
    }
    connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, _encode(payload).decode()))
