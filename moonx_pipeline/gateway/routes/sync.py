"""A user's syncs: asking for one, how things stand, what was."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.gateway.answers import SIGNED_IN, WITH_BODY, Answer, ApiError, Model, answer, documented, not_found
from moonx_pipeline.gateway.auth import Caller
from moonx_pipeline.gateway.callers import Gateway, Shared, SignedIn
from moonx_pipeline.gateway.sync_models import (
    Cancelled,
    Operation,
    OperationDetail,
    OperationStatus,
    Priority,
    SyncStatus,
    SyncTriggered,
)
from moonx_pipeline.storage.portfolios.sync_state import read_sync_state
from moonx_pipeline.storage.requests.pause import current_pause
from moonx_pipeline.storage.requests.queue import permits_left, priority_of
from moonx_pipeline.storage.syncs.operation_reads import is_own, list_operations, read_operation
from moonx_pipeline.sync.cancel import cancel_operation
from moonx_pipeline.sync.intervals import intervals_of
from moonx_pipeline.sync.requests.ask import SyncRequestResult, ask_for_sync, manual_sync_limit
from moonx_pipeline.sync.requests.run_trigger import trigger_runs
from moonx_pipeline.views.operations import operation_detail_json, operation_json
from moonx_pipeline.views.people import (
    operation_detail_for_people,
    operation_for_people,
    status_for_people,
    sync_sentence,
)
from moonx_pipeline.views.status import status_json

router = APIRouter(tags=["sync"])

SyncType = Literal["portfolio", "full", "trades", "manual"]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Asking by the same key again gives the same answer, and no second sync; asking for something else "
        "by it is refused (422, `idempotency_key_reused`).",
    ),
]


class TriggerBody(Model):
    """How to sync."""

    priority: Priority = "medium"
    syncType: SyncType = Field(default="portfolio", description="All of them read the portfolio.")
    forceRefresh: bool = Field(
        default=False, description="Changes nothing: what a person asks for is always read anew."
    )


_TRIGGER = {**SIGNED_IN, **WITH_BODY, **documented(409)}


@router.post("/sync/trigger", status_code=202, response_model=Answer[SyncTriggered], responses=_TRIGGER)
def trigger_sync(
    gateway: Shared, caller: SignedIn, body: TriggerBody | None = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """Asks for a sync. Where one waits already, that one serves; past the limit it is refused until `resetTime`."""
    wanted = body or TriggerBody()
    return _trigger(gateway, caller, wanted, idempotency_key)


@router.post("/portfolio/refresh", status_code=202, response_model=Answer[SyncTriggered], responses=_TRIGGER)
def refresh(gateway: Shared, caller: SignedIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Asks for a sync with high priority, within the same limit."""
    return _trigger(gateway, caller, TriggerBody(priority="high"), idempotency_key)


def _trigger(gateway: Gateway, caller: Caller, wanted: TriggerBody, key: str | None) -> Response:
    settings = gateway.settings
    asked = ask_for_sync(
        gateway.engine,
        settings,
        caller.user_id,
        source="api",
        priority=wanted.priority,
        idempotency_key=key,
        asked=wanted.model_dump_json(),
        limited=True,
    )
    if asked.refusal is not None or asked.request_id is None:
        raise _refused(asked)
    with gateway.engine.connect() as connection:
        # One that waited already may be more urgent; one named by the same key is as it was asked for.
        stored_priority = priority_of(connection, asked.request_id)
        pause = current_pause(connection)
    data = {
        "requestId": str(asked.request_id),
        "syncType": wanted.syncType,
        "priority": stored_priority,
        "remainingRequests": settings.worker.rate_max if asked.remaining is None else asked.remaining,
        "resetTime": rfc3339(asked.reset_at) if asked.reset_at else None,
    }
    trigger = gateway.afterwards.act(trigger_runs, gateway.engine, settings.service.graphql_url, [asked.request_id])
    return answer(data, pause.sentence if pause else None, status=202, background=trigger)


def _refused(asked: SyncRequestResult) -> ApiError:
    refusal = asked.refusal
    if refusal is None:
        raise AssertionError("a request without a refusal has an id")
    if refusal.code == "idempotency_key_reused":
        return ApiError(422, refusal.code, refusal.reason)
    if refusal.code != "rate_limited":
        return ApiError(409, refusal.code, sync_sentence(refusal.code))
    reset_at = asked.reset_at or utc_now()
    return ApiError(
        429,
        refusal.code,
        refusal.reason,
        retry_after=max(reset_at - utc_now(), timedelta(seconds=1)),
        remainingRequests=0,
        resetTime=rfc3339(reset_at),
    )


@router.get("/sync/status", response_model=Answer[SyncStatus], responses=SIGNED_IN)
def get_status(gateway: Shared, caller: SignedIn) -> Response:
    """How fresh the portfolio is, what is under way for it, and what is left of the limit."""
    limit = manual_sync_limit(gateway.settings.worker, caller.user_id)
    with gateway.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        state = read_sync_state(connection, caller.user_id)
        remaining, reset_at = permits_left(connection, limit)
    data = status_json(
        state,
        intervals=intervals_of(gateway.settings.periodic),
        now=utc_now(),
        remaining=limit.most if remaining is None else remaining,
        maximum=limit.most,
        reset_at=reset_at,
        chains=gateway.settings.chains,
    )
    return answer(data if caller.is_admin else status_for_people(data))


_ONE = {**SIGNED_IN, **documented(404)}


@router.get("/sync/operations", response_model=Answer[list[Operation]], responses=_ONE)
def get_operations(
    gateway: Shared,
    caller: SignedIn,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    status: OperationStatus | None = None,
    days: Annotated[int, Query(ge=1, le=90)] = 30,
    before: Annotated[UUID | None, Query(description="The last sync of the page before this one.")] = None,
) -> Response:
    """The syncs of the last days, the newest first. Scheduled ones that found nothing changed are not among them."""
    with gateway.engine.connect() as connection:
        last = read_operation(connection, caller.user_id, before) if before else None
        if before and last is None:
            raise not_found(f"You have no sync {before}.")
        rows = list_operations(
            connection,
            caller.user_id,
            limit=limit,
            status=status,
            days=days,
            before=last.operation if last else None,
        )
    found = [operation_json(row) for row in rows]
    return answer(found if caller.is_admin else [operation_for_people(data) for data in found])


@router.get("/sync/operations/{operation_id}", response_model=Answer[OperationDetail], responses=_ONE)
def get_operation(gateway: Shared, caller: SignedIn, operation_id: UUID) -> Response:
    """One sync: how each wallet and chain was read, what it cost, and the run that carried it."""
    with gateway.engine.connect() as connection:
        row = read_operation(connection, caller.user_id, operation_id)
    if row is None:
        raise not_found(f"You have no sync {operation_id}.")
    data = operation_detail_json(row, gateway.dagster_url(caller))
    return answer(data if caller.is_admin else operation_detail_for_people(data))


@router.delete(
    "/sync/operations/{operation_id}", response_model=Answer[Cancelled], responses={**_ONE, **documented(409)}
)
def cancel(gateway: Shared, caller: SignedIn, operation_id: UUID) -> Response:
    """Cancels a sync that runs, or a request that waits, by its id. Nothing of it is stored from then on."""
    with gateway.engine.connect() as connection:
        if not is_own(connection, caller.user_id, operation_id):
            raise not_found(f"You have no sync {operation_id}.")
    cancelled = cancel_operation(gateway.engine, operation_id, "Cancelled by its user.", utc_now())
    if cancelled is None:
        raise ApiError(409, "ended", f"The sync {operation_id} has ended already: there is nothing to cancel.")
    ended = cancelled.operation_id or cancelled.request_id
    return answer({"syncOperationId": str(ended), "cancelled": True})
