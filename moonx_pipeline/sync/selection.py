"""Which syncs are to open: one by request (a click), or those of due users (a sweep)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import uuid4

from sqlalchemy import Connection

from moonx_pipeline.domain.events import SyncRef
from moonx_pipeline.domain.reasons import ALREADY_ENDED, DISABLED, NO_WALLETS
from moonx_pipeline.storage.syncs.claims import Claim, DueUser, lock_due
from moonx_pipeline.storage.syncs.opening import lock_requested
from moonx_pipeline.storage.syncs.webhooks import Webhooks, alive_since
from moonx_pipeline.sync.spec import SyncRefused, SyncSpec

SWEEP: Final = "sweep"
"""The type of operations that sweeps open."""


class Candidate(NamedTuple):
    """A locked user whose sync is about to open.

    Attributes:
        spec: The sync.
        type: The operation's type: ``sweep`` or ``portfolio``.
        version: The current version of the user's portfolio.
        wallets, with_metadata, tokens_held, unmoved_chains, is_new: As in ``OpenSync``.
        last_ended: When the user's last sync ended.
        has_failed: Whether a success may have to be reported to the user's circuit breaker.
        swept: Running syncs of sweeps, which this sync replaces.
    """

    spec: SyncSpec
    type: str
    version: int
    wallets: tuple[str, ...]
    tokens_held: int
    last_ended: datetime | None
    with_metadata: bool = False
    unmoved_chains: frozenset[int] = frozenset()
    is_new: bool = False
    has_failed: bool = False
    swept: tuple[SyncRef, ...] = ()


class Selection(Protocol):
    """Selects the syncs to open."""

    def select(self, connection: Connection) -> list[Candidate]:
        """Locks the users.

        Raises:
            SyncRefused: A requested sync can't open.
        """


@dataclass(frozen=True, slots=True)
class Requested:
    """One requested sync."""

    spec: SyncSpec

    def select(self, connection: Connection) -> list[Candidate]:
        spec = self.spec
        user = lock_requested(connection, spec.user_id, spec.operation_id)
        if not user.wallets:
            raise SyncRefused(NO_WALLETS, NO_WALLETS.say(user=spec.user_id))
        if not user.enabled:
            raise SyncRefused(DISABLED, DISABLED.say(user=spec.user_id))
        if user.existing_status not in (None, "running", "pending"):
            message = ALREADY_ENDED.say(operation=spec.operation_id, user=spec.user_id, status=user.existing_status)
            raise SyncRefused(ALREADY_ENDED, message)
        return [
            Candidate(
                spec,
                "portfolio",
                user.version,
                user.wallets,
                user.tokens_held,
                user.last_ended,
                with_metadata=user.never_read,
                swept=user.swept,
            )
        ]


@dataclass(frozen=True, slots=True)
class Due:
    """Syncs of users who are due.

    Attributes:
        claim: Which users.
        limit: How many at most.
        webhooks: The webhooks that are set up.
        run_id: The Dagster run that executes the syncs.
    """

    claim: Claim
    limit: int
    webhooks: Webhooks
    run_id: str | None

    def select(self, connection: Connection) -> list[Candidate]:
        telling = alive_since(connection, self.webhooks, self.claim.now)
        # No metadata even for new users: nobody waits, and asking for names afterwards costs less.
        return [
            Candidate(
                SyncSpec(uuid4(), user.user_id, "schedule", user.priority, run_id=self.run_id),
                SWEEP,
                user.version,
                user.wallets,
                user.tokens_held,
                user.last_ended,
                unmoved_chains=_unmoved_chains(user, telling),
                is_new=user.is_new,
                has_failed=user.has_failed,
            )
            for user in lock_due(connection, self.claim, self.limit)
        ]


def _unmoved_chains(user: DueUser, telling: Mapping[int, datetime]) -> frozenset[int]:
    """The chains on which a user certainly moved nothing since their balances were read.

    Args:
        user: A user with the time since when no movement was reported.
        telling: The chains whose webhooks report movements, and since when.
    """
    read_at = user.unmoved_since
    if read_at is None:
        return frozenset()
    return frozenset(chain_id for chain_id, since in telling.items() if since < read_at)
