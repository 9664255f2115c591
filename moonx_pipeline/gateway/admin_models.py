"""The shapes of what operators see, as OpenAPI describes them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from moonx_pipeline.gateway.answers import Model, Time


class DueUsers(Model):
    """Users, and those who wait for their unattended sync."""

    registered: int
    due: int
    longestDueSeconds: float


class WaitingRequests(Model):
    """Requests that nobody serves yet."""

    pending: int
    oldestSeconds: float


class WaitingEvents(Model):
    """Events that no broker has acknowledged; without Kafka, all that are kept."""

    unpublished: int
    oldestSeconds: float


class Pause(Model):
    """Why no sync is started, since when, and who said so."""

    since: Time
    by: str
    reason: str


class RunningSync(Model):
    """A sync under way."""

    syncOperationId: UUID
    userId: str
    trigger: str
    startedAt: Time
    workerId: str | None
    runId: str | None


class Worker(Model):
    """A process that carries syncs."""

    id: str
    host: str
    pid: int
    startedAt: Time
    alive: bool
    recoveryMs: int | None = Field(description="What it took at its start to close what dead ones had left.")


class Block(Model):
    """A rate limit that grants nothing for a while."""

    key: str
    since: Time
    until: Time
    reason: str


class SyncQueue(Model):
    """What waits, what runs, and what is held up."""

    users: DueUsers
    pause: Pause | None
    requests: WaitingRequests
    outbox: WaitingEvents
    running: list[RunningSync]
    workers: list[Worker]
    blocks: list[Block]
    dagsterUrl: str | None


class Breaker(Model):
    """A circuit breaker."""

    key: str = Field(examples=["alchemy:137"])
    state: Literal["closed", "open", "half_open"]
    since: Time
    retryAt: Time | None
    cause: str | None
    failureCount: int
    lastError: str | None
    lastFailureAt: Time | None


class BreakerReset(Model):
    """A breaker that is closed."""

    key: str
    state: Literal["closed"]
    changed: bool = Field(description="Whether it was not closed before.")


class BulkRequest(Model):
    """A request for one user; one that waited already serves, too."""

    userId: str
    requestId: UUID
    isNew: bool


class BulkRefusal(Model):
    """A user who can't be synced."""

    userId: str
    reason: Literal["no_wallets", "disabled"]


class BulkRequested(Model):
    """What became of a bulk."""

    requested: int
    requests: list[BulkRequest]
    refused: list[BulkRefusal]


class PauseAnswer(Model):
    """Whether syncs are started."""

    paused: bool
    pause: Pause | None


class DayOfSyncs(Model):
    """The syncs that ended on one day."""

    date: str = Field(json_schema_extra={"format": "date"})
    totalSyncs: int
    completedSyncs: int
    partialSyncs: int
    failedSyncs: int
    uniqueUsers: int
    avgDurationMs: int | None
    providerCalls: int
    computeUnits: int
