"""Prices and depths of tokens from their DEX pools, and prices of the tokens that those pools are quoted in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Final

from moonx_pipeline.domain.evidence import DepthState, found
from moonx_pipeline.domain.market import Known, other_side_key
from moonx_pipeline.domain.pools import Pool, judge_pools
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.providers import DEXSCREENER
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.providers.dexscreener import ADDRESSES_A_CALL, PoolList
from moonx_pipeline.sync.pricing.listings import Listings
from moonx_pipeline.sync.pricing.lookups import Asking, addresses_of, by_chain

MAX_OTHER_SIDES: Final = 60
"""The most tokens on the other side of pools to ask for per round."""

_ROUNDS_OF_OTHER_SIDES: Final = 2
"""A pool is quoted in a token, whose pools are quoted in another: the chain is followed no further."""

_SMALLER: Final = (7, 1)
"""Tokens per call after a full answer that may have left pools out: few at first, then one."""

_MOST_APART: Final = 40
"""The most such calls per round; the next sync continues."""

_Answered = dict[TokenKey, tuple[list[Pool], bool]]
"""The pools of each token, and whether the answer may have left some out."""

ReadKnown = Callable[[Collection[TokenKey]], Mapping[TokenKey, Known]]
"""Reads what is stored about tokens."""


PoolCalls = list[tuple[list[TokenKey], Future[PoolList]]]
"""Calls in progress, each with its tokens."""


class PoolQuotes:
    """Asks for pools; started calls run beside others until their results are judged."""

    def __init__(self, ask: Asking, listings: Listings, read_known: ReadKnown) -> None:
        """Prepares to ask; ``read_known`` reads what is stored about further tokens."""
        self._ask = ask
        self._listings = listings
        self._read_known = read_known

    def start(self, keys: Collection[TokenKey], size: int = ADDRESSES_A_CALL) -> PoolCalls:
        """Starts calls for the pools of tokens, ``size`` tokens per call."""
        pools = self._ask.providers.dexscreener.pools
        return [
            (part, self._ask.start(DEXSCREENER.id, pools, part[0].chain_id, addresses_of(part)))
            for part in by_chain(keys, size)
        ]

    def _take(self, calls: PoolCalls) -> _Answered:
        """The pools of each answered token, and whether it may have more."""
        answered: _Answered = {}
        for keys, call in calls:
            with self._ask.noting_outage():
                listed = call.result()
                mine: dict[str, list[Pool]] = {key.address: [] for key in keys}
                for pool in listed.pools:
                    for address in {pool.base_address, pool.quote_address} & mine.keys():
                        mine[address].append(pool)
                answered |= {key: (mine[key.address], key.address in listed.cut) for key in keys}
        return answered

    def judge(self, calls: PoolCalls) -> None:
        """Learns prices and depths from pools, those of the tokens on their other sides first."""
        levels = [self._take(calls)]
        for _ in range(_ROUNDS_OF_OTHER_SIDES):
            further = self._other_sides(levels[-1])
            if not further:
                break
            levels.append(further)
        for level in reversed(levels):
            self._judge_level(level)

    def _judge_level(self, answered: _Answered) -> None:
        """Learns from the pools of tokens; one may be quoted in another, so those still unknown are judged twice."""
        unknown, doubtful = self._judge_each(answered)
        _, still_doubtful = self._judge_each({key: answered[key] for key in unknown})
        doubtful = [*(key for key in doubtful if key not in unknown), *still_doubtful]
        for size in _SMALLER:
            doubtful.sort(key=lambda key: (-self._ask.market.overdue(key, PriceSource.DEXSCREENER), key))
            _, doubtful = self._judge_each(self._take(self.start(doubtful[: _MOST_APART * size], size)))

    def _judge_each(self, answered: _Answered) -> tuple[list[TokenKey], list[TokenKey]]:
        """Learns prices and depths from the pools of tokens.

        Returns:
            Tokens with a pool of unknown depth; and tokens about which nothing was learned, since a full answer shows
            no deep pool of theirs but may have left one out.
        """
        market = self._ask.market
        unknown: list[TokenKey] = []
        doubtful: list[TokenKey] = []
        for key, (pools, is_cut) in answered.items():
            trusted = market.trusted_sides(key.chain_id, {pool.other_side(key.address) for pool in pools})
            floor = market.limits.liquidity_floor_usd
            quote, depth = judge_pools(key, pools, floor_usd=floor, trusted=trusted, read_at=market.now)
            is_deep = depth is not None and depth.state is DepthState.DEEP
            if depth is not None and depth.state is DepthState.UNKNOWN:
                unknown.append(key)
            if market.identity(key).is_major and not is_deep:
                quote = None  # others depend on its price, and anybody can open a pool
            if is_cut and not is_deep:
                doubtful.append(key)
            else:
                market.learn(key, found(PriceSource.DEXSCREENER, market.now, quote, depth))
        return unknown, doubtful

    def _other_sides(self, answered: _Answered) -> _Answered:
        """Asks for prices of listed tokens that pools are quoted in; returns the pools of those that need judging."""
        market = self._ask.market
        sides = {
            other_side_key(key.chain_id, pool.other_side(key.address))
            for key, (pools, _) in answered.items()
            for pool in pools
        } - answered.keys()
        unread = [key for key in sides if not market.knows(key)]
        if unread:
            market.take_in(self._read_known(unread))
        wanted = [key for key in sides if market.is_listed(key) and market.trusted_price(key) is None]
        # In turns, so that those without a deep pool do not keep others out.
        wanted.sort(key=lambda key: (-market.overdue(key, PriceSource.DEXSCREENER), key))
        wanted = wanted[:MAX_OTHER_SIDES]
        majors = [key for key in wanted if market.identity(key).is_major]
        direct = [key for key in majors if market.identity(key).binance_symbol]
        self._listings.take_binance(direct, self._listings.start_binance(direct))
        others = [key for key in wanted if key not in majors and market.is_due(key, PriceSource.DEXSCREENER)]
        coins = [key for key in (*majors, *others) if self._is_coin_due(key)]
        pools = self.start(others)
        self._listings.take_coins(self._listings.start_coins(coins))
        return self._take(pools)

    def _is_coin_due(self, key: TokenKey) -> bool:
        identity = self._ask.market.identity(key)
        by_id = identity.coingecko_id and not identity.binance_symbol
        return bool(by_id) and self._ask.market.is_due(key, PriceSource.COINGECKO)
