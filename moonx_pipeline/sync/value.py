"""The value stage: turns readings into positions with names and values."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.events import FailedChain
from moonx_pipeline.domain.holdings import (
    Holding,
    Pair,
    StoredBalances,
    holdings_after,
    needs_stored,
    unread_after,
)
from moonx_pipeline.domain.inputs import InputsDigest
from moonx_pipeline.domain.market import ALWAYS_KNOWN
from moonx_pipeline.domain.portfolio import ChainBalances, Position, TokenKey
from moonx_pipeline.domain.valuation import Totals, Valuer, totals_of
from moonx_pipeline.domain.vault_shares import taken_in
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.portfolios.holdings import StoredState, stored_states
from moonx_pipeline.storage.tokens.token_store import TokenStore, read_tokens
from moonx_pipeline.storage.tokens.vault_shares import AskedShare, read_vault_shares, write_vault_shares
from moonx_pipeline.sync.fetch import VALUED_BY, Fetched, ReadSync
from moonx_pipeline.sync.pricing.enrich import NOTHING_ASKED, Asked, Enrichment, TokenDemand
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import OpenSync


class Costs(NamedTuple):
    """A sync's use of the providers, with its part of shared calls."""

    provider_calls: int
    compute_units: int


@dataclass(frozen=True, slots=True)
class ValuedSync:
    """A sync, read and valued, ready to be stored.

    Attributes:
        sync: The sync.
        readings: One for each wallet and chain.
        positions: Positions in the order of value.
        totals: Their sum and what it leaves out.
        read_at: When its reading began.
        stored: What was stored before, if the positions depend on it.
        valuer: The valuer of the positions.
        outages: Why price sources did not answer.
        scope: The provider calls, including other users' part of shared ones.
        costs: Its own part of them.
        inputs: The digest of what the positions follow from; ``None`` if it is not known.
    """

    sync: OpenSync
    readings: tuple[ChainBalances, ...]
    positions: tuple[Position, ...]
    totals: Totals
    read_at: datetime
    stored: StoredState | None
    valuer: Valuer
    outages: tuple[str, ...]
    scope: CallScope
    costs: Costs
    inputs: bytes | None

    def based_on(self, stored: StoredState) -> ValuedSync:
        """The same sync over a newer stored state, if another sync was stored meanwhile."""
        unread = unread_after(self.readings, stored.balances, stored.unread)
        positions, totals = _value(holdings_after(self.readings, stored.balances), self.readings, unread, self.valuer)
        return replace(self, positions=positions, totals=totals, stored=stored, inputs=None)

    @property
    def unread_tokens(self) -> dict[Pair, int]:
        """The number of unread tokens by wallet and chain."""
        return _unread_tokens(self.readings, self.stored)

    @property
    def is_nothing_read(self) -> bool:
        """Whether no chain answered."""
        return not any(reading.is_read or reading.is_current for reading in self.readings)

    @property
    def unread(self) -> tuple[ChainBalances, ...]:
        """The readings that did not succeed in full."""
        return tuple(reading for reading in self.readings if not reading.is_current)

    @property
    def failed_chains(self) -> tuple[FailedChain, ...]:
        """Chains with a wallet that could not be read, with the first reason and the oldest good reading."""
        by_chain: dict[int, list[ChainBalances]] = {}
        for reading in self.unread:
            by_chain.setdefault(reading.chain_id, []).append(reading)
        failed = []
        for chain_id, readings in by_chain.items():
            since = [self.stored.last_success.get((r.wallet, chain_id)) for r in readings] if self.stored else []
            oldest = min((moment for moment in since if moment is not None), default=None)
            reason = readings[0].reason or "It did not answer."
            failed.append(FailedChain(chain_id, reason, oldest, readings[0].error_code))
        return tuple(failed)


class PricedSync(NamedTuple):
    """What one sync's portfolio follows from.

    Attributes:
        read: The sync with its readings.
        holdings: What its user holds.
        unread: The number of unread tokens by wallet and chain.
        inputs: The digest of all of it and of the facts of its tokens.
        costs: Its part of the provider calls.
    """

    read: ReadSync
    holdings: Sequence[Holding]
    unread: Mapping[Pair, int]
    inputs: bytes
    costs: Costs


@dataclass(frozen=True, slots=True)
class PricedBatch:
    """What the portfolios of a batch follow from, with the valuer of all of them.

    Attributes:
        syncs: One for each sync, in the order of the readings.
        states: What was stored before, by user, where what is held depends on it.
        valuer: Values the holdings.
        outages: Why price sources did not answer.
        scope: The provider calls so far.
        read_at: When the reading began.
    """

    syncs: Sequence[PricedSync]
    states: Mapping[str, StoredState]
    valuer: Valuer
    outages: tuple[str, ...]
    scope: CallScope
    read_at: datetime

    def values(self) -> list[ValuedSync]:
        """The portfolios, in the order of the syncs."""
        valued = []
        for (sync, readings), holdings, unread, inputs, costs in self.syncs:
            positions, totals = _value(holdings, readings, unread, self.valuer)
            valued.append(
                ValuedSync(
                    sync,
                    tuple(readings),
                    positions,
                    totals,
                    self.read_at,
                    self.states.get(sync.user_id),
                    self.valuer,
                    self.outages,
                    self.scope,
                    costs,
                    inputs,
                )
            )
        return valued


def price_batch(runtime: Runtime, fetched: Fetched) -> PricedBatch:
    """Names and prices what was read. A source that fails leaves gaps and never raises.

    Args:
        runtime: The database, the providers and the rules.
        fetched: Readings of at least one sync.
    """
    reads, budget = fetched.reads, fetched.reads[0].sync.budget
    wanting = {
        read.sync.user_id: pairs
        for read in reads
        if (pairs := [(reading.wallet, reading.chain_id) for reading in read.readings if needs_stored(reading)])
    }
    read_at_start = time.monotonic()
    held = runtime.db.read(budget.deadline, _read_held, fetched, wanting)
    stored, holdings, shares = held.stored, held.holdings, held.shares
    if news := {key: shares[key] for key in fetched.shares}:
        runtime.db.transaction(budget.deadline, write_vault_shares, shares=news)
    valuer, outages = _enrichment(runtime, fetched, held).value_by(held.book, read_at_start)
    inputs, syncs = InputsDigest(valuer), []
    for read, mine, costs in zip(reads, holdings, _costs(fetched.calls.scope, len(reads)), strict=True):
        unread = _unread_tokens(read.readings, stored.get(read.sync.user_id))
        syncs.append(PricedSync(read, mine, unread, inputs.of(mine, read.readings, unread), costs))
    return PricedBatch(syncs, stored, valuer, outages, fetched.calls.scope, fetched.read_at)


def price_ahead(runtime: Runtime, fetched: Fetched) -> Asked:
    """Asks for the prices of what users held before their readings, so that ``price_batch`` need not.

    Args:
        runtime: The database, the providers and the rules.
        fetched: Syncs with readings of the kind ``KEPT``.

    Returns:
        What was asked. A source that fails is in it and never raises; nor does a database that is away.
    """
    read_at_start = time.monotonic()
    pairs = {read.sync.user_id: [(one.wallet, one.chain_id) for one in read.readings] for read in fetched.reads}
    try:
        held = runtime.db.read(fetched.reads[0].sync.budget.deadline, _read_held, fetched, pairs)
        return _enrichment(runtime, fetched, held).ask_prices(held.book, read_at_start)
    except SQLAlchemyError:
        return NOTHING_ASKED  # what is left to do needs the database, and says so


def _enrichment(runtime: Runtime, fetched: Fetched, held: _Held) -> Enrichment:
    reads, budget = fetched.reads, fetched.reads[0].sync.budget
    demand = TokenDemand(
        held.keys,
        shares={key: one.share for key, one in held.shares.items() if one.share is not None},
        holdings=[holding for mine in held.holdings for holding in mine],
        readings=[reading for read in reads for reading in read.readings],
        quotes=fetched.quotes,
        syncs=len(reads),
        trigger=reads[0].sync.spec.trigger,
        now=fetched.read_at,
        asked=fetched.asked,
    )
    return Enrichment(runtime, fetched.calls.until(budget.after(VALUED_BY)), demand, budget.deadline)


class _Held(NamedTuple):
    """What users hold after their readings, and what is stored about it."""

    stored: dict[str, StoredState]
    holdings: list[list[Holding]]
    shares: dict[TokenKey, AskedShare]
    keys: set[TokenKey]
    book: TokenStore


def _read_held(connection: Connection, fetched: Fetched, wanting: Mapping[str, Sequence[Pair]]) -> _Held:
    stored = stored_states(connection, wanting)
    holdings = [holdings_after(read.readings, _balances(stored, read.sync)) for read in fetched.reads]
    held = {(holding.chain_id, holding.token) for mine in holdings for holding in mine}
    keys = {TokenKey(*token) for token in held}
    shares = _with_answers(read_vault_shares(connection, {*keys, *fetched.shares}), fetched)
    # A share's price is that of another token, which nobody need hold.
    keys |= {TokenKey(key.chain_id, one.share.underlying) for key, one in shares.items() if one.share is not None}
    return _Held(stored, holdings, shares, keys, read_tokens(connection, keys | ALWAYS_KNOWN))


def _with_answers(shares: dict[TokenKey, AskedShare], fetched: Fetched) -> dict[TokenKey, AskedShare]:
    """What is known of shares after the answers of a reading; an answer that says nothing erases nothing."""
    now = fetched.read_at
    for key, said in fetched.shares.items():
        before = shares[key].share if key in shares else None
        shares[key] = AskedShare(now, before if said is None else taken_in(before, said, now))
    return shares


def _costs(scope: CallScope, syncs: int) -> list[Costs]:
    """The calls' costs in equal parts; the first syncs get the remainder."""

    def parts(whole: int) -> list[int]:
        each, left = divmod(whole, syncs)
        return [each + (n < left) for n in range(syncs)]

    return [Costs(*both) for both in zip(parts(len(scope.calls)), parts(scope.compute_units), strict=True)]


def _balances(stored: Mapping[str, StoredState], sync: OpenSync) -> StoredBalances:
    state = stored.get(sync.user_id)
    return state.balances if state else {}


def _unread_tokens(readings: Sequence[ChainBalances], state: StoredState | None) -> dict[Pair, int]:
    return unread_after(readings, state.balances if state else {}, state.unread if state else {})


def _value(
    holdings: Sequence[Holding], readings: Sequence[ChainBalances], unread: Mapping[Pair, int], valuer: Valuer
) -> tuple[tuple[Position, ...], Totals]:
    positions = valuer.positions(holdings)
    stale = {reading.chain_id for reading in readings if not reading.is_current}
    return positions, totals_of(positions, stale, sum(unread.values()))
