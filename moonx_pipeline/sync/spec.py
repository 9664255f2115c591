"""A sync as requested, as opened, and as refused."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from moonx_pipeline.domain.events import SyncRef
from moonx_pipeline.domain.reasons import Reason
from moonx_pipeline.sync.protection.breakers import Breakers

PERSONAL_TRIGGERS: Final = frozenset({"manual", "login", "wallets"})
"""Triggers by a user: they count as activity, and prices are read again for them."""

TRIGGERS: Final = frozenset({"manual", "backfill", "schedule", "webhook", "login", "wallets"})


@dataclass(frozen=True, slots=True)
class SyncSpec:
    """One sync of one user, as requested.

    Attributes:
        operation_id: The operation; the same for every try of this sync.
        user_id: The portfolio's user.
        trigger: One of ``TRIGGERS``.
        priority: ``high``, ``medium`` or ``low``.
        request_id: The request it serves, if any.
        run_id: The Dagster run that executes it.
        retry: The number of this try, from 0.
    """

    operation_id: UUID
    user_id: str
    trigger: str = "manual"
    priority: str = "medium"
    request_id: UUID | None = None
    run_id: str | None = None
    retry: int = 0


@dataclass(frozen=True, slots=True)
class TimeBudget:
    """The time that syncs opened together may take.

    Attributes:
        began: ``time.monotonic()`` when they opened.
        seconds: The longest that they may take.
    """

    began: float
    seconds: float

    @classmethod
    def starting_now(cls, seconds: float) -> TimeBudget:
        """A budget whose time starts now."""
        return cls(time.monotonic(), seconds)

    def after(self, share: float) -> float:
        """``time.monotonic()`` when a share of the time is over."""
        return self.began + self.seconds * share

    @property
    def deadline(self) -> float:
        return self.after(1.0)


@dataclass(frozen=True, slots=True)
class OpenSync:
    """A running sync.

    Attributes:
        spec: What was requested.
        ref: What its events share.
        fence: Its fencing token: the sync is stored only if no sync of the user with a higher token was.
        wallets: The user's wallets, the first registered first.
        with_metadata: Whether to read metadata and prices with the balances, which costs more; for a new wallet.
        tokens_held: How many tokens the user held at the last sync.
        unmoved_chains: Chains that need no reading: the chain's webhook reports movements, and reported none.
        is_new: Whether it is the user's first sync, or the first after weeks.
        is_swept: Whether a sweep opened it: then its start is told with its end, if there is something to tell.
        breakers: The circuit breakers it respects, shared by all syncs that opened together.
        budget: Its time, shared likewise.
    """

    spec: SyncSpec
    ref: SyncRef
    fence: int
    wallets: tuple[str, ...]
    with_metadata: bool
    tokens_held: int
    unmoved_chains: frozenset[int]
    is_new: bool
    is_swept: bool
    breakers: Breakers
    budget: TimeBudget

    @property
    def user_id(self) -> str:
        return self.spec.user_id

    @property
    def operation_id(self) -> UUID:
        return self.spec.operation_id


class SyncRefused(Exception):
    """A sync that did not start. Only the refusal was written, and only for a known user.

    Attributes:
        reason: Why.
        retry_at: When it will be allowed, if known.
    """

    def __init__(self, reason: Reason, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_at = retry_at

    @property
    def code(self) -> str:
        return self.reason.code
