"""Asking for syncs: the user's limit, the stored request, and the tags of the run that serves it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import user_activity
from moonx_pipeline.domain.reasons import DISABLED, NO_WALLETS
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.worker import WorkerSettings
from moonx_pipeline.storage.connection.retries import RetryPolicy, with_retries
from moonx_pipeline.storage.protection.rate_limits import Limit, take
from moonx_pipeline.storage.requests.bulk import BulkRow, Selection, add_requests, select_users
from moonx_pipeline.storage.requests.dispatches import Dispatch
from moonx_pipeline.storage.requests.queue import (
    Answer,
    RequestingUser,
    add_request,
    answer_of,
    lock_asker,
    permits_left,
    remember_answer,
    withdraw_request,
)
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync import run_tags
from moonx_pipeline.sync.spec import PERSONAL_TRIGGERS

T = TypeVar("T")

_TRIGGERS: Final = {
    "cli": "manual",
    "api": "manual",
    "wallets": "wallets",
    "login": "login",
    "webhook": "webhook",
    "backfill": "backfill",
}
_ACTIVITIES: Final = {"manual": "manual_sync", "login": "sync_triggered", "wallets": "sync_triggered"}
_SECONDS: Final = 10.0
"""Seconds to retry a step while the database is away."""

_USERS_AT_ONCE: Final = 250
"""Users of a bulk request per transaction: others who ask for one of them, or look at their portfolio, wait until it
ends, each in a thread of the gateway."""


class Refusal(NamedTuple):
    """Why a request was refused.

    Attributes:
        code: ``rate_limited``, ``no_wallets``, ``disabled`` or ``idempotency_key_reused``.
        reason: A sentence for users.
    """

    code: str
    reason: str


class SyncRequestResult(NamedTuple):
    """The answer to a request for a sync.

    Attributes:
        request_id: The request that serves the caller; ``None`` if refused.
        is_new: Whether this call made the request.
        remaining: What is left of the user's limit; ``None`` if no limit applies.
        reset_at: When the next permit comes back; if the limit refused, when to ask again.
        refusal: Why the request was refused, if it was.
    """

    request_id: UUID | None
    is_new: bool
    remaining: int | None = None
    reset_at: datetime | None = None
    refusal: Refusal | None = None


def manual_sync_limit(worker: WorkerSettings, user_id: str) -> Limit:
    """The user's limit on requests, from which one request takes a permit."""
    return Limit(f"user:{user_id}:sync", 1, worker.rate_max, timedelta(milliseconds=worker.rate_window_ms))


def wallets_sync_limit(worker: WorkerSettings, user_id: str) -> Limit:
    """The user's limit on syncs that changes of wallets ask for: twice that of the syncs they may ask for, since one
    often names several wallets one after the other."""
    return manual_sync_limit(worker, user_id)._replace(key=f"user:{user_id}:wallets", most=2 * worker.rate_max)


def trigger_of(source: str) -> str:
    """The trigger of a sync that a source requests."""
    return _TRIGGERS.get(source, "manual")


def dispatch_tags(launch: Dispatch) -> dict[str, str]:
    """The tags of the Dagster run that serves a request."""
    tags = {
        run_tags.PARTITION: launch.user_id,
        run_tags.USER: launch.user_id,
        run_tags.REQUEST: str(launch.request_id),
        run_tags.TRIGGER: trigger_of(launch.source),
        run_tags.PRIORITY: launch.priority,
    }
    return tags if launch.traceparent is None else {**tags, run_tags.TRACE: launch.traceparent}


def ask_for_sync(
    engine: Engine,
    settings: Settings,
    user_id: str,
    *,
    source: str,
    priority: str,
    idempotency_key: str | None = None,
    asked: str | None = None,
    limited: bool,
) -> SyncRequestResult:
    """Asks for one user's sync, in one transaction under the user's lock.

    The same key again gets the same answer, unless it asks for something else. If a request of the user already waits,
    it serves this call, too. Neither takes a permit.

    Args:
        engine: The pipeline's database.
        settings: Settings with the limits.
        user_id: Whose portfolio.
        source: Who asks: ``cli``, ``api``, ``wallets``, ``login``, ``webhook`` or ``backfill``.
        priority: ``high``, ``medium`` or ``low``.
        idempotency_key: The caller's own name for this request.
        asked: What the caller asks for, as text: another one by the same key is refused.
        limited: Whether it takes a permit of the user's limit for that source.
    """
    limit_of = wallets_sync_limit if source == "wallets" else manual_sync_limit
    limit = limit_of(settings.worker, user_id) if limited else None

    def ask() -> SyncRequestResult:
        with engine.begin() as connection:
            return ask_within(
                connection,
                user_id,
                source=source,
                priority=priority,
                idempotency_key=idempotency_key,
                asked=asked,
                limit=limit,
            )

    return briefly(settings, ask)


def ask_within(
    connection: Connection,
    user_id: str,
    *,
    source: str,
    priority: str,
    idempotency_key: str | None = None,
    asked: str | None = None,
    limit: Limit | None = None,
) -> SyncRequestResult:
    """Asks for a sync inside the caller's transaction; see ``ask_for_sync``.

    Args:
        connection: A connection in the transaction, which holds the user's lock from here on.
        user_id: Whose portfolio.
        source: Who asks.
        priority: How urgently.
        idempotency_key: The caller's own name for this request.
        asked: What the caller asks for, as text.
        limit: The user's limit to take a permit of; ``None`` for none.
    """
    key = idempotency_key
    trigger = trigger_of(source)
    asker = lock_asker(connection, user_id, active=trigger in PERSONAL_TRIGGERS)
    if key is not None and (before := answer_of(connection, user_id, key)) is not None:
        if None not in (asked, before.asked) and asked != before.asked:
            return SyncRequestResult(None, False, refusal=_reused(key))
        return SyncRequestResult(before.request_id, False, before.remaining, before.reset_at)
    if asker is None or not asker.enabled:
        return SyncRequestResult(None, False, refusal=_unservable(user_id, asker))
    new_id = uuid4()
    served_by = add_request(
        connection, user_id, source=source, priority=priority, idempotency_key=key, request_id=new_id
    )
    remaining: int | None = None
    reset_at: datetime | None = None
    if limit is not None and served_by != new_id:
        remaining, reset_at = permits_left(connection, limit)
    elif limit is not None:
        grant = take(connection, [limit])
        if not grant.granted:
            withdraw_request(connection, new_id)
            return SyncRequestResult(None, False, 0, grant.slot, _limited(user_id, source, limit, grant.slot))
        remaining, reset_at = grant.remaining, grant.reset_at
    if key is not None:
        remember_answer(connection, user_id, key, Answer(served_by, remaining, reset_at, asked))
    if trigger in _ACTIVITIES:
        # One event per request, however often it is asked for while it waits.
        event = user_activity(
            user_id,
            asker.first_wallet,
            activity=_ACTIVITIES[trigger],
            activity_id=served_by,
            version=asker.version,
            at=utc_now(),
        )
        insert_events(connection, [event])
    return SyncRequestResult(served_by, served_by == new_id, remaining, reset_at)


def _unservable(user_id: str, asker: RequestingUser | None) -> Refusal:
    if asker is None:
        return Refusal(NO_WALLETS.code, NO_WALLETS.say(user=user_id))
    return Refusal(DISABLED.code, DISABLED.say(user=user_id))


def _reused(key: str) -> Refusal:
    return Refusal(
        "idempotency_key_reused",
        f"By the key '{key}' something else was asked for before: use a new key for a new request.",
    )


def _limited(user_id: str, source: str, limit: Limit, until: datetime) -> Refusal:
    minutes = limit.window.total_seconds() / 60
    asked = f"asked for {limit.most} syncs" if source != "wallets" else f"changed wallets {limit.most} times"
    return Refusal(
        "rate_limited",
        f"User '{user_id}' has {asked} within {minutes:g} minutes, the most there are: "
        f"no other until {until.astimezone(UTC):%H:%M:%S} UTC.",
    )


def ask_for_many(
    engine: Engine,
    settings: Settings,
    users: Sequence[str] | Selection,
    *,
    source: str = "backfill",
    priority: str = "low",
) -> list[BulkRow]:
    """Asks for many users' syncs, hundreds a transaction; takes no permits and counts as no user's activity.

    If the database goes away, those before are asked for. Asking again is safe: requests that wait serve it.

    Args:
        engine: The pipeline's database.
        settings: Settings with the age of a stale portfolio.
        users: User ids, or a selection.
        source: Who asks.
        priority: The priority of all; a waiting request with a higher one keeps it.
    """
    if isinstance(users, Selection):
        selection, stale_before = users, utc_now() - timedelta(milliseconds=settings.periodic.stale_ms)

        def select() -> list[str]:
            with engine.connect() as connection:
                return select_users(connection, selection, stale_before)

        users = briefly(settings, select)
    rows: list[BulkRow] = []
    for first in range(0, len(users), _USERS_AT_ONCE):
        chunk = users[first : first + _USERS_AT_ONCE]

        def ask(chunk: Sequence[str] = chunk) -> list[BulkRow]:
            with engine.begin() as connection:
                return add_requests(connection, chunk, source=source, priority=priority)

        rows += briefly(settings, ask)
    return rows


def briefly(settings: Settings, step: Callable[[], T]) -> T:
    """Executes a step that a caller waits for; retries it if the database is briefly away."""
    worker = settings.worker
    policy = RetryPolicy(worker.retries, min(worker.retry_delay_ms / 1000, 1.0), worker.backoff)
    return with_retries(policy, time.monotonic() + _SECONDS, step)
