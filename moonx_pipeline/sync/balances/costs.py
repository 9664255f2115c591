"""What unattended syncs cost a month by each way of reading balances: calls, compute units, money.

The figures follow from how a batch is read (``bulk``, ``fetch``) and from Alchemy's price list; the tests hold them
against what real sweeps use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.schedule import MARKET_CLOSES, MARKET_OPENS, Intervals
from moonx_pipeline.providers.alchemy_data import plan_groups
from moonx_pipeline.providers.alchemy_networks import COMPUTE_UNITS
from moonx_pipeline.providers.bulk_balances import PAIRS_A_CALL
from moonx_pipeline.sync.balances.bulk import SPREAD
from moonx_pipeline.sync.balances.known import CHAIN_UNITS, LIST_UNITS, SAMPLE, SAMPLED_USERS

DAYS_A_MONTH: Final = Decimal("30.4")


_ROWS_OF_A_SYNC: Final = 6
"""Three events, the operation, its evidence and the user's status; positions and their history come on top."""

_MB_A_POSITION: Final = Decimal("0.38")
"""Measured by ``moonx bench storage``: 9.4 MB of a user with 25 tokens, packed, with Dagster's runs."""


class PriceStep(NamedTuple):
    """A step of a price list.

    Attributes:
        up_to: Millions of compute units a month up to which it applies; ``None`` for the last one.
        usd: USD for a million of them.
    """

    up_to: Decimal | None
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Fleet:
    """Users to be kept fresh around the clock.

    Attributes:
        users: Active ones.
        wallets: Of each.
        tokens: Of each wallet, over all chains.
        chains: Chains that are read.
        intervals: How often they are read.
        full_read_every: How often their tokens are listed although sweeps read in bulk.
        batch_size: Users of a batch.
    """

    users: int
    wallets: int
    tokens: int
    chains: int
    intervals: Intervals
    full_read_every: timedelta
    batch_size: int

    @property
    def sweeps_a_day(self) -> Decimal:
        """How often each user is read a day."""
        hours = MARKET_CLOSES - MARKET_OPENS
        market = timedelta(hours=hours) / self.intervals.market_hours
        return Decimal(str(market + timedelta(hours=24 - hours) / self.intervals.off_hours))

    @property
    def rows_a_sync(self) -> int:
        """Rows that a sync writes at most, where it finds all prices changed; one that finds no change writes none."""
        positions = self.wallets * self.tokens
        return 2 * positions + self.wallets * self.chains + _ROWS_OF_A_SYNC

    @property
    def rows_a_month(self) -> Decimal:
        """Rows that the syncs of all users write in a month at most."""
        return self.users * self.rows_a_sync * self.sweeps_a_day * DAYS_A_MONTH

    @property
    def database_mb(self) -> Decimal:
        """What PostgreSQL keeps of all users at the default retention, where all prices move between all syncs."""
        return self.users * self.wallets * self.tokens * _MB_A_POSITION


class Use(NamedTuple):
    """What reading one user takes of Alchemy."""

    calls: Decimal
    compute_units: Decimal


class WayCost(NamedTuple):
    """What a way of reading costs for all users.

    Attributes:
        sweep: Use of one sweep of one user.
        a_month: Use of all users' sweeps in a month, full readings included.
        units_a_second: Compute units a second in market hours, where sweeps are spread evenly.
    """

    sweep: Use
    a_month: Use
    units_a_second: Decimal


def by_lists(fleet: Fleet) -> WayCost:
    """Each sweep lists the tokens of each wallet."""
    return _over_time(fleet, _list(fleet), None)


def in_bulk(fleet: Fleet) -> WayCost:
    """Sweeps read what is known and what was received; tokens are listed every ``full_read_every``.

    For few wallets their lists cost less, and are read each time.
    """
    batch = min(fleet.batch_size, fleet.users)
    pairs = batch * fleet.wallets * (fleet.tokens / fleet.chains + 1)
    calls = math.ceil(pairs / PAIRS_A_CALL)
    of_batch = Use(
        Decimal(fleet.chains * (calls + 1)),
        Decimal(fleet.chains * (calls * COMPUTE_UNITS["eth_call"] + COMPUTE_UNITS["eth_getLogs"])),
    )
    # The sample that is read both ways.
    samples = Decimal(math.ceil(fleet.users / SAMPLED_USERS)) / fleet.users
    sample = Decimal(math.ceil(SAMPLE * _lists_of_a_wallet(fleet.chains)))
    sampled = Use(samples * sample, samples * sample * LIST_UNITS)
    sweep = Use(of_batch.calls / batch + sampled.calls, of_batch.compute_units / batch + sampled.compute_units)
    if batch * _list(fleet).compute_units <= fleet.chains * CHAIN_UNITS:
        return by_lists(fleet)
    return _over_time(fleet, sweep, _list(fleet))


def price_of(units: Decimal, steps: Sequence[PriceStep]) -> Decimal:
    """The price in USD of a month's compute units.

    Args:
        units: The compute units.
        steps: The price list, by ``up_to``; the last step is without bound.
    """
    millions, paid_for, usd = units / 1_000_000, Decimal(0), Decimal(0)
    for step in steps:
        until = millions if step.up_to is None else min(millions, step.up_to)
        usd += max(Decimal(0), until - paid_for) * step.usd
        paid_for = max(paid_for, until)
    return usd


def _lists_of_a_wallet(chains: int) -> Decimal:
    """Calls of the data API that list one wallet, where several wallets share them."""
    wallets = 60  # divides evenly into calls of one, two and three
    pairs = [(str(wallet), chain) for wallet in range(wallets) for chain in range(chains)]
    return Decimal(len(plan_groups(pairs, with_metadata=False))) / wallets


def _list(fleet: Fleet) -> Use:
    calls = fleet.wallets * _lists_of_a_wallet(fleet.chains)
    return Use(calls, calls * LIST_UNITS)


def _over_time(fleet: Fleet, sweep: Use, full: Use | None) -> WayCost:
    days = fleet.users * DAYS_A_MONTH
    seconds = Decimal(str(fleet.intervals.market_hours.total_seconds()))
    a_second = fleet.users * sweep.compute_units / seconds
    calls, units = sweep.calls * fleet.sweeps_a_day, sweep.compute_units * fleet.sweeps_a_day
    if full is not None and fleet.full_read_every:
        every = fleet.full_read_every * (1 - SPREAD / 2)
        lists = Decimal(str(timedelta(days=1) / every))
        calls, units = calls + full.calls * lists, units + full.compute_units * lists
        a_second += fleet.users * full.compute_units / Decimal(str(every.total_seconds()))
    return WayCost(sweep, Use(calls * days, units * days), a_second)
