"""What operators see and do."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, Field, model_validator

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.users import parse_user_id
from moonx_pipeline.gateway.admin_models import (
    Breaker,
    BreakerReset,
    BulkRequested,
    DayOfSyncs,
    PauseAnswer,
    SyncQueue,
)
from moonx_pipeline.gateway.answers import NO_NUL, SIGNED_IN, WITH_BODY, Answer, Model, answer, documented, not_found
from moonx_pipeline.gateway.callers import Administrator, Shared, administrator
from moonx_pipeline.gateway.sync_models import Priority
from moonx_pipeline.storage.monitoring.overview import read_overview
from moonx_pipeline.storage.monitoring.statistics import days_of_syncs
from moonx_pipeline.storage.protection.breaker_rows import breakers
from moonx_pipeline.storage.requests.pause import pause, resume
from moonx_pipeline.sync.protection.breakers import reset
from moonx_pipeline.sync.requests.ask import ask_for_many
from moonx_pipeline.sync.requests.run_trigger import trigger_runs
from moonx_pipeline.views.overview import breaker_json, overview_json
from moonx_pipeline.views.statistics import day_json

router = APIRouter(tags=["operators"], dependencies=[Depends(administrator)])

_ADMIN = {**SIGNED_IN, **documented(403)}
UserId = Annotated[str, AfterValidator(parse_user_id)]


class BulkBody(Model):
    """Whose portfolios to sync."""

    userIds: list[UserId] = Field(min_length=1, max_length=5000)
    priority: Priority = "low"


class PauseBody(Model):
    """Whether syncs are started."""

    action: Literal["pause", "resume"]
    reason: str = Field(default="", max_length=500, pattern=NO_NUL, description="Why; needed for a pause.")

    @model_validator(mode="after")
    def _has_its_reason(self) -> PauseBody:
        if self.action == "pause" and not self.reason.strip():
            raise ValueError("a pause needs a reason, for whoever finds syncs paused")
        return self


@router.get("/sync/queue", response_model=Answer[SyncQueue], responses=_ADMIN)
def get_queue(gateway: Shared, caller: Administrator) -> Response:
    """What waits, what runs, who carries it, and what is held up."""
    with gateway.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        overview = overview_json(read_overview(connection, has_broker=bool(gateway.settings.kafka.brokers)))
    del overview["breakers"]  # they have a route of their own
    return answer({**overview, "dagsterUrl": gateway.dagster_url(caller)})


@router.post("/sync/bulk", status_code=202, response_model=Answer[BulkRequested], responses={**_ADMIN, **WITH_BODY})
def sync_many(gateway: Shared, body: BulkBody) -> Response:
    """Asks for the syncs of many users; those who can't be synced are named with the reason."""
    rows = ask_for_many(gateway.engine, gateway.settings, body.userIds, priority=body.priority)
    asked = [row for row in rows if row.request_id is not None]
    data = {
        "requested": len(asked),
        "requests": [{"userId": row.user_id, "requestId": str(row.request_id), "isNew": row.is_new} for row in asked],
        "refused": [
            {"userId": row.user_id, "reason": "no_wallets" if not row.known else "disabled"}
            for row in rows
            if row.request_id is None
        ],
    }
    ids = [row.request_id for row in rows if row.request_id is not None] if body.priority != "low" else []
    trigger = gateway.afterwards.act(trigger_runs, gateway.engine, gateway.settings.service.graphql_url, ids)
    return answer(data, status=202, background=trigger)


@router.put("/sync/pause", response_model=Answer[PauseAnswer], responses={**_ADMIN, **WITH_BODY})
def set_pause(gateway: Shared, caller: Administrator, body: PauseBody) -> Response:
    """Starts no syncs until resumed: those that run go on, requests wait, nobody is swept."""
    with gateway.engine.begin() as connection:
        if body.action == "resume":
            resume(connection)
            return answer({"paused": False, "pause": None})
        now = pause(connection, " ".join(body.reason.split()), caller.user_id)
    return answer(
        {"paused": True, "pause": {"since": rfc3339(now.paused_at), "by": now.paused_by, "reason": now.reason}},
        now.sentence,
    )


@router.get("/sync/stats", response_model=Answer[list[DayOfSyncs]], responses=_ADMIN)
def get_stats(gateway: Shared, days: Annotated[int, Query(ge=1, le=90)] = 7) -> Response:
    """The syncs of the last days, by the day (UTC), the newest first."""
    with gateway.engine.connect() as connection:
        rows = days_of_syncs(connection, days)
    return answer([day_json(row) for row in rows])


@router.get("/breakers", response_model=Answer[list[Breaker]], responses=_ADMIN)
def get_breakers(gateway: Shared) -> Response:
    """The circuit breakers that ever counted a failure, those that are not closed first."""
    with gateway.engine.connect() as connection:
        rows = breakers(connection)
    return answer([breaker_json(row) for row in rows])


@router.post("/breakers/{key}/reset", response_model=Answer[BreakerReset], responses={**_ADMIN, **documented(404)})
def reset_breaker(
    gateway: Shared, key: Annotated[str, Path(max_length=300, pattern=NO_NUL, examples=["alchemy:137"])]
) -> Response:
    """Closes a breaker: what it is for is asked again from now on."""
    changed = bool(reset(gateway.engine, [key]))
    if not changed:
        with gateway.engine.connect() as connection:
            if key not in {row.key for row in breakers(connection)}:
                raise not_found(f"There is no breaker '{key}': GET /breakers lists those that ever counted a failure.")
    return answer({"key": key, "state": "closed", "changed": changed})
