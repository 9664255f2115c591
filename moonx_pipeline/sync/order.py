"""What a sync is asked to do, and how it can end before it has begun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from moonx_pipeline.domain.events import SyncFacts
from moonx_pipeline.sync.breaking import Breakers

PERSONAL_TRIGGERS: Final = frozenset({"manual", "login"})
"""Triggers that are a person's act: they count as activity, and prices are read anew for them."""

TRIGGERS: Final = frozenset({"manual", "backfill", "schedule", "webhook", "login"})


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """One sync of one user, as ordered.

    Attributes:
        operation_id: The same for every try of this sync.
        user_id: Whose portfolio.
        trigger: One of ``TRIGGERS``.
        priority: ``high``, ``medium`` or ``low``.
        request_id: The request it serves, if one started it.
        run_id: The Dagster run that carries it.
        retry: Which try this is, from 0.
    """

    operation_id: UUID
    user_id: str
    trigger: str = "manual"
    priority: str = "medium"
    request_id: UUID | None = None
    run_id: str | None = None
    retry: int = 0


@dataclass(frozen=True, slots=True)
class OpenSync:
    """A sync that runs.

    Attributes:
        order: What was asked.
        facts: What its events share.
        fence: Its number among the user's syncs.
        wallets: The user's wallets, the first registered first.
        first_read: A wallet is read for the first time, so metadata is wanted with the balances.
        tokens_held: How many tokens the user held when he was last read.
        breakers: Whom it may ask.
        began: ``time.monotonic()`` at its opening.
        seconds: The longest that it may take.
    """

    order: SyncOrder
    facts: SyncFacts
    fence: int
    wallets: tuple[str, ...]
    first_read: bool
    tokens_held: int
    breakers: Breakers
    began: float
    seconds: float

    def after(self, share: float) -> float:
        """``time.monotonic()`` at which a share of its time is over."""
        return self.began + self.seconds * share

    @property
    def deadline(self) -> float:
        return self.after(1.0)


class SyncRefused(Exception):
    """A sync that was not begun; nothing was written but, where there is a user, the refusal.

    Attributes:
        code: ``no_wallets``, ``disabled``, ``breaker_open``, ``request_taken``, ``already_ended``, ``bad_trigger``.
        retry_at: From when on it would be allowed, where that is known.
    """

    def __init__(self, code: str, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_at = retry_at
