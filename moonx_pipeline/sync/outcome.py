"""How a sync ended, in the terms of what is stored and told: operation, chain statuses, events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from moonx_pipeline.domain.chains import CHAIN_BY_ID, CHAINS
from moonx_pipeline.domain.events import Event, portfolio_updated, sync_completed, sync_failed
from moonx_pipeline.domain.holdings import is_whole
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.domain.schedule import Intervals, next_due
from moonx_pipeline.domain.valuation import content_hash
from moonx_pipeline.storage.operations import ChainStatusRow, LockedUser, OperationEnd
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.sync.value import ValuedSync


class Outcome(NamedTuple):
    """How a sync ended.

    Attributes:
        end: What becomes of its operation and its user.
        events: What is told of it, in order.
        changed: Whether the portfolio changed, so that its positions are written.
        retry_at: When what failed may be tried again, where that is known.
    """

    end: OperationEnd
    events: list[Event]
    changed: bool = False
    retry_at: datetime | None = None


def failure(
    sync: OpenSync,
    user: LockedUser,
    *,
    code: str,
    message: str,
    intervals: Intervals,
    now: datetime,
    retry_at: datetime | None = None,
) -> Outcome:
    """A sync that ends with nothing to store."""
    failures = user.failures + 1
    duration_ms = _milliseconds(sync, now)
    end = OperationEnd(
        operation_id=sync.order.operation_id,
        user_id=user.user_id,
        status="failed",
        completed_at=now,
        began_at=sync.facts.started_at,
        duration_ms=duration_ms,
        version=user.version,
        error_code=code,
        error_message=message,
        next_sync_at=next_due(now, failures, intervals),
        failures=failures,
    )
    event = sync_failed(
        sync.facts,
        version=user.version,
        at=now,
        duration_ms=duration_ms,
        code=code,
        message=message,
        retry_at=retry_at,
    )
    return Outcome(end, [event], retry_at=retry_at)


def superseded(sync: OpenSync, user: LockedUser, intervals: Intervals, now: datetime) -> Outcome:
    """A sync that came too late: it ends without a word about its user."""
    message = "A later sync of this user was stored first, or his wallets changed, so this one was not stored."
    ended = failure(sync, user, code="superseded", message=message, intervals=intervals, now=now)
    return ended._replace(end=ended.end._replace(status="cancelled", failures=user.failures, next_sync_at=None))


def nothing_read(valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime) -> Outcome:
    """A sync that no chain answered: its chains are stale, its holdings stay."""
    message = _unread_sentence(valued)
    ended = failure(
        valued.sync,
        user,
        code="no_chain_read",
        message=message,
        intervals=intervals,
        now=now,
        retry_at=_retry_at(valued),
    )
    return ended._replace(end=ended.end._replace(chains=_chain_report(valued), balances="open", **_costs(valued)))


def success(valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime) -> Outcome:
    """A sync that at least one chain answered."""
    sync, totals = valued.sync, valued.totals
    stale = [(reading.wallet, reading.chain_id) for reading in valued.unread]
    digest = content_hash(valued.positions, stale, valued.unread_tokens)
    changed = digest != user.content_hash
    version = user.version + 1 if changed else user.version
    snapshot = (
        changed or user.snapshot_at is None or user.snapshot_at.astimezone(UTC).date() < now.astimezone(UTC).date()
    )
    failed = valued.failed_chains
    duration_ms = _milliseconds(sync, now)
    end = OperationEnd(
        operation_id=sync.order.operation_id,
        user_id=user.user_id,
        status="partial" if failed else "completed",
        completed_at=now,
        began_at=sync.facts.started_at,
        duration_ms=duration_ms,
        version=version,
        tokens=len(valued.positions),
        chains_synced=len(CHAINS) - len(failed),
        total_value_usd=totals.value_usd,
        omitted=totals.omitted,
        error_code="chains_failed" if failed else None,
        error_message=_unread_sentence(valued) if failed else None,
        stored_fence=sync.fence,
        content_hash=digest,
        snapshot=snapshot,
        next_sync_at=next_due(now, 0, intervals),
        is_high_value=totals.value_usd >= intervals.high_value_usd,
        balances=_balances_standing(valued),
        balances_read_at=valued.read_at,
        chains=_chain_report(valued),
        **_costs(valued),
    )
    events = [
        sync_completed(
            sync.facts,
            version=version,
            at=now,
            duration_ms=duration_ms,
            totals=totals,
            tokens=len(valued.positions),
            chains_synced=end.chains_synced,
            failed=failed,
        )
    ]
    if changed:
        events.append(
            portfolio_updated(
                sync.facts,
                version=version,
                at=now,
                duration_ms=duration_ms,
                positions=valued.positions,
                totals=totals,
            )
        )
    return Outcome(end, events, changed, _retry_at(valued))


def _milliseconds(sync: OpenSync, now: datetime) -> int:
    return max(0, int((now - sync.facts.started_at).total_seconds() * 1000))


def _retry_at(valued: ValuedSync) -> datetime | None:
    return min((reading.retry_at for reading in valued.unread if reading.retry_at), default=None)


def _balances_standing(valued: ValuedSync) -> str:
    """Whether what is stored of balances is all that is held; see ``OperationEnd``.

    Where some chains were kept, the time of the last whole reading stands, so that its age stays bounded. A chain
    that failed beside them is asked again by the next sync all the same: its webhook has not been alive ever since
    that whole reading, else it had been kept, too, and one that comes alive later keeps only what is read after that.
    """
    if any(reading.outcome is ChainOutcome.KEPT for reading in valued.readings):
        return "kept"
    return "whole" if all(is_whole(reading) for reading in valued.readings) else "open"


def _costs(valued: ValuedSync) -> dict[str, Any]:
    return valued.costs._asdict()


def _unread_sentence(valued: ValuedSync) -> str:
    """Which chains could not be read and why; those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for chain in valued.failed_chains:
        by_reason.setdefault(chain.reason, []).append(CHAIN_BY_ID[chain.chain_id].name)
    return "Not read: " + "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def _chain_report(valued: ValuedSync) -> list[dict[str, Any]]:
    return [
        {
            "walletAddress": r.wallet,
            "chainId": r.chain_id,
            "outcome": r.outcome.value,
            "source": r.source,
            "tokens": len(r.balances),
            "reason": r.reason,
            "retryAt": r.retry_at,
        }
        for r in valued.readings
    ]


def chain_statuses(valued: ValuedSync) -> list[ChainStatusRow]:
    """The attempts to read each wallet and chain."""
    return [
        ChainStatusRow(
            user_id=valued.sync.order.user_id,
            wallet_address=r.wallet,
            chain_id=r.chain_id,
            synced_at=(r.resumed_since or valued.read_at) if r.outcome is ChainOutcome.OK else None,
            attempted_at=None if r.outcome is ChainOutcome.SKIPPED else valued.read_at,
            error=r.reason,
            source=r.source,
            coverage=r.coverage.value if r.is_read else None,
            unread=valued.unread_tokens.get((r.wallet, r.chain_id), 0),
            block=r.block,
            resume_key=r.resume_key,
            resume_since=(r.resumed_since or valued.read_at) if r.resume_key is not None else None,
        )
        for r in valued.readings
        if r.outcome is not ChainOutcome.KEPT
    ]
