"""Builds the ending of a sync that was read: what is stored and published about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.content_hash import content_hash
from moonx_pipeline.domain.events import FailedChain, portfolio_updated, sync_completed
from moonx_pipeline.domain.holdings import Pair, is_whole
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Way
from moonx_pipeline.domain.reasons import CHAINS_FAILED, NO_CHAIN_READ
from moonx_pipeline.domain.schedule import Intervals, next_due
from moonx_pipeline.storage.syncs.operations import ChainStatusRow, LockedUser, OperationEnd
from moonx_pipeline.sync.ending import Ending, beginning, milliseconds, without_result
from moonx_pipeline.sync.value import ValuedSync


def nothing_read(
    valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime, *, fresh: Collection[Pair]
) -> Ending:
    """The ending of a sync that no chain answered: its chains are stale, its holdings stay.

    The version grows if any chain was fresh before.

    Args:
        valued: The sync.
        user: Its locked user.
        intervals: How often users are synced.
        now: When it ends.
        fresh: The wallets and chains that are fresh as stored.
    """
    stale = [(reading.wallet, reading.chain_id) for reading in valued.unread]
    becomes_stale = not set(stale).isdisjoint(fresh)
    ended = without_result(
        valued.sync.ref,
        user._replace(version=user.version + 1) if becomes_stale else user,
        NO_CHAIN_READ,
        _unread_sentence(valued.failed_chains),
        now=now,
        intervals=intervals,
        retry_at=_retry_at(valued),
    )
    end = structs.replace(ended.end, chains=_chain_report(valued), balances="open", **_costs(valued))
    if becomes_stale:
        # No sync that reads a chain has this digest: the one that ends the outage is a change again.
        end = structs.replace(end, content_hash=content_hash((), stale))
    events = (*beginning(valued.sync, user, _chain_ids(valued)), *ended.events)
    return ended._replace(end=end, events=events, became_stale=becomes_stale)


def success(valued: ValuedSync, user: LockedUser, intervals: Intervals, now: datetime) -> Ending:
    """The ending of a sync that at least one chain answered."""
    ref, totals = valued.sync.ref, valued.totals
    stale = [(reading.wallet, reading.chain_id) for reading in valued.unread]
    digest = content_hash(valued.positions, stale, valued.unread_tokens)
    changed = digest != user.content_hash
    version = user.version + 1 if changed else user.version
    snapshot = (
        changed or user.snapshot_at is None or user.snapshot_at.astimezone(UTC).date() < now.astimezone(UTC).date()
    )
    failed = valued.failed_chains
    duration_ms = milliseconds(ref.started_at, now)
    end = OperationEnd(
        operation_id=ref.operation_id,
        user_id=user.user_id,
        status=CHAINS_FAILED.status if failed else "completed",
        completed_at=now,
        began_at=ref.started_at,
        duration_ms=duration_ms,
        version=version,
        tokens=len(valued.positions),
        chains_synced=len({reading.chain_id for reading in valued.readings}) - len(failed),
        total_value_usd=totals.value_usd,
        omitted=totals.omitted,
        error_code=CHAINS_FAILED.code if failed else None,
        error_message=_unread_sentence(failed) if failed else None,
        stored_fence=valued.sync.fence,
        content_hash=digest,
        inputs=valued.inputs,
        snapshot=snapshot,
        next_sync_at=next_due(now, 0, intervals),
        is_high_value=totals.value_usd >= intervals.high_value_usd,
        balances=balances_standing(valued.readings),
        balances_read_at=valued.read_at,
        chains=_chain_report(valued),
        **_costs(valued),
    )
    events = [
        *beginning(valued.sync, user, _chain_ids(valued)),
        sync_completed(
            ref,
            version=version,
            at=now,
            duration_ms=duration_ms,
            totals=totals,
            tokens=len(valued.positions),
            chains_synced=end.chains_synced,
            failed=failed,
        ),
    ]
    if changed:
        events.append(
            portfolio_updated(
                ref,
                version=version,
                at=now,
                duration_ms=duration_ms,
                positions=valued.positions,
                totals=totals,
            )
        )
    return Ending(ref, end, tuple(events), changed, retry_at=_retry_at(valued))


def _chain_ids(valued: ValuedSync) -> list[int]:
    return list(dict.fromkeys(reading.chain_id for reading in valued.readings))


def _retry_at(valued: ValuedSync) -> datetime | None:
    return min((reading.retry_at for reading in valued.unread if reading.retry_at), default=None)


def balances_standing(readings: Sequence[ChainBalances]) -> str:
    """Whether the stored balances are all that is held; see ``OperationEnd``.

    If some chains were kept, the time of the last whole reading stands, so that its age stays bounded. The next sync
    still asks again for a chain that failed beside them: its webhook has not been alive since that whole reading (else
    the chain would have been kept, too), and a webhook that comes alive later keeps only what is read after that.
    """
    if any(reading.outcome is ChainOutcome.KEPT for reading in readings):
        return "kept"
    return "whole" if all(is_whole(reading) for reading in readings) else "open"


def _costs(valued: ValuedSync) -> dict[str, Any]:
    return valued.costs._asdict()


def _unread_sentence(failed: Sequence[FailedChain]) -> str:
    """Which chains could not be read and why, grouped by reason."""
    by_reason: dict[str, list[str]] = {}
    for chain in failed:
        by_reason.setdefault(chain.reason, []).append(CHAIN_BY_ID[chain.chain_id].name)
    return "Not read: " + "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def _chain_report(valued: ValuedSync) -> list[dict[str, Any]]:
    return [
        {
            "walletAddress": r.wallet,
            "chainId": r.chain_id,
            "outcome": r.outcome.value,
            "source": r.source,
            "way": r.way.value if r.way else None,
            "block": r.block,
            "tokens": len(r.balances),
            "reason": r.reason,
            "code": r.error_code,
            "retryAt": r.retry_at,
        }
        for r in valued.readings
    ]


def is_list(reading: ChainBalances) -> bool:
    """Whether it is a list from its beginning to its end, and not an answer about known and received tokens."""
    return reading.outcome is ChainOutcome.OK and reading.way is not Way.BULK and not reading.is_resumed


def chain_statuses(valued: ValuedSync) -> list[ChainStatusRow]:
    """How each wallet and chain was read."""
    unread = valued.unread_tokens
    return [
        ChainStatusRow(
            user_id=valued.sync.user_id,
            wallet_address=r.wallet,
            chain_id=r.chain_id,
            synced_at=(r.resumed_since or valued.read_at) if r.outcome is ChainOutcome.OK else None,
            attempted_at=None if r.outcome is ChainOutcome.SKIPPED else valued.read_at,
            error=r.reason,
            error_code=r.error_code,
            source=r.source,
            way=r.way.value if r.way and r.is_read else None,
            full_read_at=valued.read_at if is_list(r) else None,
            known_block=r.known_block if r.outcome is ChainOutcome.OK else None,
            coverage=r.coverage.value if r.is_read else None,
            unread=unread.get((r.wallet, r.chain_id), 0),
            block=r.block,
            resume_key=r.resume_key,
            resume_since=(r.resumed_since or valued.read_at) if r.resume_key is not None else None,
        )
        for r in valued.readings
        if r.outcome is not ChainOutcome.KEPT
    ]
