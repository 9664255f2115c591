"""Dispatch: marks waiting requests for runs that serve them.

The row records how far a request has come, so there is no cursor that could skip or repeat one: a request is marked
first, and the process that marks it starts its run. A mark without a run is looked into later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from moonx_pipeline.domain.reasons import DISABLED, NO_WALLETS
from moonx_pipeline.storage.connection.recordset import recordset

LOOK_AFTER_SECONDS: Final = 30.0
"""How long a run may take from its request's mark until it claims it; after that it is looked for."""


class Dispatch(NamedTuple):
    """A request that was marked for a run; the process that marked it starts that run.

    Attributes:
        request_id: The request.
        user_id: The user.
        source: Who asked.
        priority: ``high``, ``medium`` or ``low``.
        number: Which run of the request it is, from 1.
        traceparent: The trace that it belongs to, if one is recorded.
    """

    request_id: UUID
    user_id: str
    source: str
    priority: str
    number: int
    traceparent: str | None = None

    @property
    def run_key(self) -> str:
        """The run's unique key."""
        return str(self.request_id) if self.number == 1 else f"{self.request_id}:{self.number}"


class Queue(NamedTuple):
    """How many requests wait.

    Attributes:
        waiting: Requests without a run.
        launched: Requests whose run has not begun to sync.
    """

    waiting: int
    launched: int


class OpenDispatch(NamedTuple):
    """A request whose run should have begun by now.

    Attributes:
        request_id: The request.
        number: Of its last run.
        attempts: How often its run was lost.
    """

    request_id: UUID
    number: int
    attempts: int


class Reconciliation(NamedTuple):
    """The state of a run: ``under_way`` (in progress), ``canceled`` or ``lost``; a reason ends the request."""

    request_id: UUID
    number: int
    outcome: str
    reason: str | None = None


# Written as in the indexes of sync_requests, so that they serve these queries.
_WAITING: Final = "status = 'pending' AND launched_at IS NULL"
_UNDER_WAY: Final = "(status = 'claimed' OR (status = 'pending' AND launched_at IS NOT NULL))"

_REFUSE = f"""
WITH first AS (
    SELECT id, user_id FROM sync_requests WHERE {_WAITING} ORDER BY priority_rank, created_at LIMIT %(most)s
), bad AS (
    SELECT f.id, replace(CASE WHEN s.is_sync_enabled IS FALSE THEN %(disabled)s ELSE %(no_wallets)s END,
                         '{{user}}', f.user_id) AS reason
    FROM first f LEFT JOIN user_sync_status s USING (user_id)
    WHERE s.is_sync_enabled IS FALSE OR NOT EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = f.user_id)
)
UPDATE sync_requests r SET status = 'refused', reason = b.reason, completed_at = now()
FROM bad b WHERE r.id = b.id AND r.status = 'pending'
"""  # noqa: S608 - constants


def refuse_unservable(connection: Connection, most: int) -> int:
    """Refuses requests of users without wallets and of users whose syncs are disabled; returns how many.

    Args:
        connection: Any.
        most: How many of the first in line to check.
    """
    parameters = {"most": most, "no_wallets": NO_WALLETS.words, "disabled": DISABLED.words}
    return connection.exec_driver_sql(_REFUSE, parameters).rowcount


_MARK = f"""
WITH under_way AS (
    SELECT count(*) FILTER (WHERE priority <> 'low') AS pressing,
           count(*) FILTER (WHERE priority = 'low' AND status = 'pending') AS low
    FROM sync_requests WHERE {_UNDER_WAY}
), pressing AS (
    SELECT id FROM sync_requests WHERE {_WAITING} AND priority_rank < 3 ORDER BY priority_rank, created_at
    LIMIT (SELECT greatest(0, least(%(batch)s, %(capacity)s - pressing)) FROM under_way) FOR UPDATE SKIP LOCKED
), low AS (
    SELECT id FROM sync_requests WHERE {_WAITING} AND priority_rank = 3 ORDER BY created_at
    LIMIT (SELECT greatest(0, %(batch)s - greatest(low, (SELECT count(*) FROM pressing))) FROM under_way)
    FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE sync_requests r
    SET launches = launches + 1, launched_at = now(), look_at = now() + make_interval(secs => %(look_after)s)
    WHERE id IN (SELECT id FROM pressing UNION ALL SELECT id FROM low)
    RETURNING id, user_id, source, priority, launches, traceparent, priority_rank, created_at
)
SELECT id, user_id, source, priority, launches, traceparent FROM marked ORDER BY priority_rank, created_at
"""  # noqa: S608 - constants


def dispatch_next(connection: Connection, *, batch: int, capacity: int) -> list[Dispatch]:
    """Marks the next requests for runs: by priority, then oldest first. Two callers never get the same one.

    Args:
        connection: Inside a transaction.
        batch: The most requests to mark, and the most of low priority whose runs may wait.
        capacity: The most of higher priority that may be in progress.
    """
    parameters = {"batch": batch, "capacity": capacity, "look_after": LOOK_AFTER_SECONDS}
    return [Dispatch(*row) for row in connection.exec_driver_sql(_MARK, parameters)]


_MARK_THESE = f"""
UPDATE sync_requests
SET launches = launches + 1, launched_at = now(), look_at = now() + make_interval(secs => %s)
WHERE id = ANY(%s::uuid[]) AND {_WAITING} AND priority <> 'low' AND NOT EXISTS (SELECT 1 FROM sync_pause)
RETURNING id, user_id, source, priority, launches, traceparent
"""  # noqa: S608 - constants


def dispatch_these(connection: Connection, requests: Sequence[UUID]) -> list[Dispatch]:
    """Marks the given requests that may run at once: not of low priority, without a run, and no pause."""
    rows = connection.exec_driver_sql(_MARK_THESE, (LOOK_AFTER_SECONDS, list(requests)))
    return [Dispatch(*row) for row in rows]


def undo_dispatch(connection: Connection, launches: Sequence[Dispatch]) -> None:
    """Makes requests wait again if their runs surely were not started."""
    connection.exec_driver_sql(
        "UPDATE sync_requests r SET launches = r.launches - 1, launched_at = NULL, look_at = NULL "
        "FROM json_to_recordset(%s::json) AS x(request_id uuid, number integer) "
        "WHERE r.id = x.request_id AND r.launches = x.number AND r.status = 'pending' AND r.launched_at IS NOT NULL",
        (_numbers(launches),),
    )


def open_dispatches(connection: Connection, most: int) -> list[OpenDispatch]:
    """Requests whose runs should have begun by now, the longest overdue first."""
    rows = connection.exec_driver_sql(
        f"SELECT id, launches, attempts FROM sync_requests WHERE {_UNDER_WAY} AND status = 'pending' "  # noqa: S608
        "AND look_at <= now() ORDER BY look_at LIMIT %s",
        (most,),
    )
    return [OpenDispatch(*row) for row in rows]


_SETTLE = """
UPDATE sync_requests r
SET look_at = CASE x.outcome WHEN 'under_way' THEN now() + make_interval(secs => %(look_after)s) END,
    launched_at = CASE x.outcome WHEN 'under_way' THEN r.launched_at END,
    attempts = r.attempts + CASE x.outcome WHEN 'lost' THEN 1 ELSE 0 END,
    status = CASE WHEN x.reason IS NULL THEN 'pending' WHEN x.outcome = 'canceled' THEN 'cancelled' ELSE 'refused' END,
    reason = x.reason,
    completed_at = CASE WHEN x.reason IS NOT NULL THEN now() END
FROM json_to_recordset(%(findings)s::json) AS x(request_id uuid, number integer, outcome text, reason text)
WHERE r.id = x.request_id AND r.launches = x.number AND r.status = 'pending' AND r.launched_at IS NOT NULL
"""


def reconcile(connection: Connection, findings: Sequence[Reconciliation]) -> None:
    """Records the states of runs: one in progress is looked at again later, a lost one is to be started anew.

    A request that went on in the meantime stays as it is.
    """
    if findings:
        rows = recordset(finding._asdict() for finding in findings)
        connection.exec_driver_sql(_SETTLE, {"findings": rows, "look_after": LOOK_AFTER_SECONDS})


def read_queue(connection: Connection) -> Queue:
    """How many requests wait, without a run and with one."""
    waiting, launched = connection.exec_driver_sql(
        f"SELECT (SELECT count(*) FROM sync_requests WHERE {_WAITING}), "  # noqa: S608 - constants
        f"(SELECT count(*) FROM sync_requests WHERE {_UNDER_WAY} AND status = 'pending')"
    ).one()
    return Queue(waiting, launched)


def _numbers(launches: Sequence[Dispatch]) -> str:
    def row(launch: Dispatch) -> dict[str, Any]:
        return {"request_id": launch.request_id, "number": launch.number}

    return recordset(map(row, launches))
