"""Syncs: how fresh a portfolio is, and what became of each, as OpenAPI describes them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from moonx_pipeline.gateway.answers import DecimalText, Model, Time
from moonx_pipeline.gateway.portfolio_models import ReasonCode

Priority = Literal["high", "medium", "low"]
OperationStatus = Literal["pending", "running", "completed", "partial", "failed", "cancelled", "refused"]


class SyncTriggered(Model):
    """A sync that was asked for."""

    requestId: UUID
    syncType: str
    priority: Priority = Field(description="Of the request that serves this one.")
    remainingRequests: int = Field(description="What is left of the syncs that one may ask for.")
    resetTime: Time | None = Field(description="When the next one comes back.")


class ChainName(Model):
    """A chain, and what it is called."""

    chainId: int = Field(examples=[137])
    name: str = Field(examples=["Polygon"])


class RunningOperation(Model):
    """A sync under way."""

    syncOperationId: UUID
    trigger: str
    startedAt: Time


class LastError(Model):
    """Why the last sync was not complete."""

    message: str
    at: Time


class PauseState(Model):
    """Why no sync is started, and since when."""

    since: Time
    reason: str


class SyncStatus(Model):
    """How fresh a portfolio is and what is under way for it."""

    userId: str
    lastSyncAt: Time | None
    syncStatus: Literal["current", "recent", "stale", "never"] = Field(
        description="Read within 5 minutes, within 30, longer ago, or never."
    )
    isRunning: bool
    activeSyncOperations: int
    totalTokens: int
    totalValueUsd: DecimalText | None
    syncFrequency: int = Field(description="Minutes between two unattended syncs, at this time of the day.")
    nextScheduledSync: Time | None
    remainingRequests: int
    maxRequests: int
    resetTime: Time | None
    pendingRequestId: UUID | None
    runningOperation: RunningOperation | None
    lastError: LastError | None
    pause: PauseState | None
    chains: list[ChainName] = Field(description="The chains that a sync reads, in the order in which they are shown.")


class Operation(Model):
    """One sync."""

    syncOperationId: UUID
    type: str
    status: OperationStatus
    priority: Priority
    trigger: Literal["manual", "backfill", "schedule", "webhook", "login", "wallets"]
    startedAt: Time
    completedAt: Time | None
    durationMs: int | None
    tokensSynced: int
    chainsSynced: int
    totalValueUsd: DecimalText | None
    errorCode: str | None
    errorMessage: str | None
    retryCount: int
    portfolioVersion: int | None


class ChainReading(Model):
    """How the reading of one wallet on one chain ended."""

    walletAddress: str
    chainId: int
    outcome: Literal["ok", "failed", "skipped", "kept"]
    source: str | None
    tokens: int
    reason: str | None
    code: ReasonCode | None = Field(description="The reason as a code; null where there is none.")
    retryAt: Time | None


class OperationDetail(Operation):
    """One sync with all that is known of it."""

    chains: list[ChainReading]
    providerCalls: int
    computeUnits: int
    requestId: UUID | None
    workerId: str | None = Field(description="For administrators; null for others.")
    dagsterRunId: str | None
    dagsterRunUrl: str | None = Field(description="For administrators, and in development; null for others.")


class Cancelled(Model):
    """A sync that was ended."""

    syncOperationId: UUID
    cancelled: Literal[True]
