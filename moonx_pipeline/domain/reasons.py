"""The reasons why syncs end without a full result: one table of codes, words and consequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a sync ended without a full result.

    Attributes:
        code: For programs; stored as ``error_code``.
        status: The operation's status.
        words: One sentence for users; the code that ends the sync fills in its fields. Empty if it depends on the case.
        counts: Whether it adds to the user's failures in a row; each doubles the wait until the next sync.
        is_due_at_once: Whether the user is due again at once.
    """

    code: str
    status: str
    words: str = ""
    counts: bool = False
    is_due_at_once: bool = False

    def say(self, **fields: object) -> str:
        """The sentence with its fields filled in."""
        return self.words.format(**fields)


# Refusals: the sync does not start.
BAD_TRIGGER: Final = Reason("bad_trigger", "refused", "'{trigger}' starts no syncs; what does: {triggers}.")
NO_WALLETS: Final = Reason(
    "no_wallets", "refused", "User '{user}' has no wallets: register them with 'moonx user add {user} ADDRESS'."
)
DISABLED: Final = Reason(
    "disabled", "refused", "Syncs of user '{user}' are disabled: set is_sync_enabled in user_sync_status."
)
BREAKER_OPEN: Final = Reason(
    "breaker_open",
    "refused",
    "User '{user}' is not synced for now. {refusal} ('moonx breaker reset {key}' closes it)",
)
ALREADY_ENDED: Final = Reason(
    "already_ended", "refused", "Sync {operation} of user '{user}' has ended as {status}: start a new one."
)
REQUEST_TAKEN: Final = Reason(
    "request_taken", "refused", "Request {request} of user '{user}' is unknown, or another sync has served it."
)

# Endings that are no failure.
CANCELLED: Final = Reason("cancelled", "cancelled")
REPLACED: Final = Reason(
    "superseded", "cancelled", "A sync of this user that was asked for took the place of the sweep's."
)
SUPERSEDED: Final = Reason(
    "superseded",
    "cancelled",
    "A later sync of this user was stored first, or the wallets changed, so this one was not stored.",
)
HANDED_BACK: Final = Reason(
    "handed_back",
    "cancelled",
    "The sweep ended before it came to this user. The user is due again.",
    is_due_at_once=True,
)
WORKER_LOST: Final = Reason(
    "sync_worker_lost",
    "failed",
    "Worker {worker} died while it ran this sync. The user is due again.",
    is_due_at_once=True,
)
BROKEN_OFF: Final = Reason(
    "interrupted", "failed", "Its run was broken off during this sync. The user is due again.", is_due_at_once=True
)

# Failures.
INTERRUPTED: Final = Reason("interrupted", "failed", "The sync was interrupted.", counts=True)
DEADLINE_EXCEEDED: Final = Reason(
    "deadline_exceeded",
    "failed",
    "The sync's time (WORKER_TIMEOUT) was over before its result was stored.",
    counts=True,
)
DATABASE_AWAY: Final = Reason("database_away", "failed", "The database could not be used: {error}.", counts=True)
INTERNAL_ERROR: Final = Reason("internal_error", "failed", counts=True)
NO_CHAIN_READ: Final = Reason("no_chain_read", "failed", counts=True)

# Not a failure: the result is stored, and says what it lacks.
CHAINS_FAILED: Final = Reason("chains_failed", "partial")
