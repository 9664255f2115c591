"""Asking the sources of prices, side by side where they do not depend on each other.

What they say goes into the market as evidence. A source that fails is an outage in the result, never an exception, and
changes nothing of what it said before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import groupby
from typing import Final, TypeVar

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.evidence import DepthState, found
from moonx_pipeline.domain.market import Known, Market, other_side_key
from moonx_pipeline.domain.money import value_of
from moonx_pipeline.domain.pools import Pool, judge_pools
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.binance import Ticker
from moonx_pipeline.providers.coingecko import COINS_A_CALL
from moonx_pipeline.providers.defillama import TOKENS_A_CALL
from moonx_pipeline.providers.dexscreener import ADDRESSES_A_CALL, PoolList
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import ALCHEMY_PRICES, BINANCE, COINGECKO, DEFILLAMA, DEXSCREENER, Breakers
from moonx_pipeline.sync.price import MAX_ASKED, PricePlan
from moonx_pipeline.sync.sources import Sources

MAX_ALCHEMY_ASKED: Final = 100
"""Tokens that need another opinion about which Alchemy is asked at most, in a sync: it costs compute units."""

MAX_OTHER_SIDES: Final = 60
"""Tokens on the other side of pools that are asked for at most, a round."""

_ROUNDS_OF_OTHER_SIDES: Final = 2
"""A pool is quoted in a token, whose pools are quoted in another: further it is not followed."""

_T = TypeVar("_T")
_Answered = dict[TokenKey, tuple[list[Pool], bool]]
"""The pools of tokens, and whether the answer may have left some out."""

ReadKnown = Callable[[Collection[TokenKey]], Mapping[TokenKey, Known]]
"""Reads what is stored of tokens."""


class QuoteRound:
    """One round of asking.

    Attributes:
        outages: Why a source failed, a sentence each.
    """

    def __init__(
        self,
        market: Market,
        sources: Sources,
        breakers: Breakers,
        scope: CallScope,
        *,
        read_known: ReadKnown,
        syncs: int = 1,
    ) -> None:
        self.outages: list[str] = []
        self._market = market
        self._sources = sources
        self._submit = sources.executor.submit
        self._call = breakers.call
        self._scope = scope
        self._read_known = read_known
        self._syncs = syncs

    def ask(self, plan: PricePlan) -> None:
        """Asks as planned, then those who could confirm what is still open.

        Args:
            plan: Whom to ask about which tokens.
        """
        self._market.waiting = plan.waiting
        contracts = self._start_contracts(plan.contracts)
        pools = self._start_pools(plan.pools)
        coins, direct = self._start_coins(plan.coins), self._start_binance(plan.binance)
        self._take_coins(coins)
        self._take_binance(plan.binance, direct)
        for keys, listing in contracts:
            with self._noting_outage():
                prices = listing.result()
                self._learn(PriceSource.COINGECKO, keys, {key: prices.get(key.address) for key in keys})
        self._judge(self._take_pools(pools))
        self._confirm([key for key in plan.asked if self._market.choice(key).is_open])
        self._accept()

    @contextmanager
    def _noting_outage(self) -> Iterator[None]:
        """A source that fails leaves its tokens as they were; the sync goes on."""
        try:
            yield
        except ProviderError as error:
            if str(error) not in self.outages:
                self.outages.append(str(error))

    def _learn(self, source: PriceSource, keys: Iterable[TokenKey], quotes: Mapping[TokenKey, Quote | None]) -> None:
        """Takes in an answer: a source that has no price of a token has answered all the same."""
        for key in keys:
            self._market.learn(key, found(source, self._market.now, quotes.get(key)))

    # -- direct quotes and listings

    def _start_binance(self, keys: Collection[TokenKey]) -> Future[dict[str, Ticker]] | None:
        symbols = sorted({self._market.identity(key).binance_symbol or "" for key in keys})
        if not symbols:
            return None
        return self._submit(self._call, BINANCE, self._sources.binance.prices, symbols, self._scope)

    def _take_binance(self, keys: Collection[TokenKey], call: Future[dict[str, Ticker]] | None) -> None:
        """Takes in direct quotes once USDT's rate is known, and asks CoinGecko for what Binance did not say."""
        if call is None:
            return
        unsaid = set(keys)
        with self._noting_outage():
            tickers = call.result()
            symbol_of = {key: self._market.identity(key).binance_symbol or "" for key in keys}
            quotes = {key: self._in_usd(tickers.get(symbol)) for key, symbol in symbol_of.items()}
            self._learn(PriceSource.BINANCE, keys, quotes)
            unsaid = {key for key, quote in quotes.items() if quote is None}
        due = (key for key in unsaid if self._market.is_due(key, PriceSource.COINGECKO))
        self._take_coins(self._start_coins([key for key in due if self._market.identity(key).coingecko_id]))

    def _in_usd(self, ticker: Ticker | None) -> Quote | None:
        if ticker is None:
            return None
        rate, now = self._market.usdt_rate(), self._market.now
        usd = ticker.price if rate is None else value_of(ticker.price, rate)
        return Quote(PriceSource.BINANCE, usd, None, now, ticker.change_24h, at_par=rate is None)

    def _start_coins(self, keys: Collection[TokenKey]) -> list[tuple[list[TokenKey], Future[dict[str, Quote]]]]:
        """CoinGecko by the ids of coins, hundreds a call."""
        by_id: dict[str, list[TokenKey]] = {}
        for key in sorted(keys):
            by_id.setdefault(self._market.identity(key).coingecko_id or "", []).append(key)
        ids = sorted(by_id)
        return [
            (
                [key for coin in part for key in by_id[coin]],
                self._submit(self._call, COINGECKO, self._sources.coingecko.coin_prices, part, self._scope),
            )
            for part in _parts(ids, COINS_A_CALL)
        ]

    def _take_coins(self, calls: Iterable[tuple[list[TokenKey], Future[dict[str, Quote]]]]) -> None:
        for keys, call in calls:
            with self._noting_outage():
                prices = call.result()
                self._learn(
                    PriceSource.COINGECKO,
                    keys,
                    {key: prices.get(self._market.identity(key).coingecko_id or "") for key in keys},
                )

    def _start_contracts(self, keys: Collection[TokenKey]) -> list[tuple[list[TokenKey], Future[dict[str, Quote]]]]:
        coingecko = self._sources.coingecko
        return [
            (
                part,
                self._submit(
                    self._call, COINGECKO, coingecko.token_prices, part[0].chain_id, _addresses(part), self._scope
                ),
            )
            for part in _by_chain(keys, coingecko.batch_size)
        ]

    # -- pools

    def _start_pools(self, keys: Collection[TokenKey]) -> list[tuple[list[TokenKey], Future[PoolList]]]:
        pools = self._sources.dexscreener.pools
        return [
            (part, self._submit(self._call, DEXSCREENER, pools, part[0].chain_id, _addresses(part), self._scope))
            for part in _by_chain(keys, ADDRESSES_A_CALL)
        ]

    def _take_pools(self, calls: Iterable[tuple[list[TokenKey], Future[PoolList]]]) -> _Answered:
        """The pools of each token that was answered for, and whether it may have more."""
        answered: _Answered = {}
        for keys, call in calls:
            with self._noting_outage():
                listed = call.result()
                mine: dict[str, list[Pool]] = {key.address: [] for key in keys}
                for pool in listed.pools:
                    for address in {pool.base_address, pool.quote_address} & mine.keys():
                        mine[address].append(pool)
                answered |= {key: (mine[key.address], key.address in listed.cut) for key in keys}
        return answered

    def _judge(self, answered: _Answered) -> None:
        """Learns prices and depths from pools, those of the tokens on their other sides first."""
        levels = [answered]
        for _ in range(_ROUNDS_OF_OTHER_SIDES):
            further = self._other_sides(levels[-1])
            if not further:
                break
            levels.append(further)
        for level in reversed(levels):
            self._judge_level(level)

    def _judge_level(self, answered: _Answered) -> None:
        """Learns from the pools of tokens; one may be quoted in another of them, so the unknown are looked at twice."""
        unknown = self._judge_each(answered)
        self._judge_each({key: answered[key] for key in unknown})
        # A full answer may have left the deep pools out: what looks thin in it is asked about once more.
        doubtful = [key for key, (_, is_cut) in answered.items() if is_cut and not self._market.was_asked_for(key)]
        if doubtful:
            again = self._take_pools(self._start_pools(doubtful))
            self._judge_each({key: (pools, False) for key, (pools, is_cut) in again.items() if not is_cut})

    def _judge_each(self, answered: _Answered) -> list[TokenKey]:
        """Learns what the pools of tokens say; returns those with a pool whose depth is not known."""
        market, unknown = self._market, []
        for key, (pools, is_cut) in answered.items():
            trusted = market.trusted_quotes(key.chain_id, {pool.other_side(key.address) for pool in pools})
            floor = market.limits.liquidity_floor_usd
            quote, depth = judge_pools(key, pools, floor_usd=floor, trusted=trusted, read_at=market.now)
            if depth is not None and depth.state is DepthState.UNKNOWN:
                unknown.append(key)
            if not is_cut or depth is None or depth.state is not DepthState.THIN:
                market.learn(key, found(PriceSource.DEXSCREENER, market.now, quote, depth))
        return unknown

    def _other_sides(self, answered: _Answered) -> _Answered:
        """Asks for prices of listed tokens in which pools are quoted; returns the pools of those that need judging."""
        market = self._market
        sides = {
            other_side_key(key.chain_id, pool.other_side(key.address))
            for key, (pools, _) in answered.items()
            for pool in pools
        } - answered.keys()
        unread = [key for key in sides if not market.knows(key)]
        if unread:
            market.take_in(self._read_known(unread))
        wanted = sorted(key for key in sides if market.is_listed(key) and market.trusted_price(key) is None)
        wanted = wanted[:MAX_OTHER_SIDES]
        majors = [key for key in wanted if market.identity(key).is_major]
        direct = [key for key in majors if market.identity(key).binance_symbol]
        self._take_binance(direct, self._start_binance(direct))
        others = [key for key in wanted if key not in majors and market.is_due(key, PriceSource.DEXSCREENER)]
        coins = [key for key in (*majors, *others) if self._is_coin_due(key)]
        pools = self._start_pools(others)
        self._take_coins(self._start_coins(coins))
        return self._take_pools(pools)

    def _is_coin_due(self, key: TokenKey) -> bool:
        identity = self._market.identity(key)
        by_id = identity.coingecko_id and not identity.binance_symbol
        return bool(by_id) and self._market.is_due(key, PriceSource.COINGECKO)

    # -- another opinion

    def _confirm(self, keys: Iterable[TokenKey]) -> None:
        """Asks, once, those who could say more about tokens without a price that is beyond doubt."""
        wanted = list(keys)
        by_llama = self._in_turn(wanted, PriceSource.DEFILLAMA)[: MAX_ASKED * self._syncs]
        llama = [
            (part, self._submit(self._call, DEFILLAMA, self._sources.defillama.prices, part, self._scope))
            for part in _parts(by_llama, TOKENS_A_CALL)
        ]
        self._ask_alchemy(dict.fromkeys(map(_as_contract, wanted)))
        for part, call in llama:
            with self._noting_outage():
                self._learn(PriceSource.DEFILLAMA, part, call.result())

    def _in_turn(self, keys: Iterable[TokenKey], source: PriceSource) -> list[TokenKey]:
        """Those about which a source is to be asked: tokens with a price first, then the longest overdue."""
        market = self._market
        due = [(key, overdue) for key in keys if (overdue := market.overdue(key, source)) > 1]
        due.sort(key=lambda one: (not market.evidence(one[0]).quotes, -one[1], one[0]))
        return [key for key, _ in due]

    def _ask_alchemy(self, keys: Iterable[TokenKey]) -> None:
        alchemy = self._sources.alchemy
        if alchemy is None:
            return
        served = [key for key in keys if alchemy.serves(key.chain_id)]
        asked = self._in_turn(served, PriceSource.ALCHEMY)[: MAX_ALCHEMY_ASKED * self._syncs]
        if asked:
            with self._noting_outage():
                self._learn(PriceSource.ALCHEMY, asked, self._call(ALCHEMY_PRICES, alchemy.prices, asked, self._scope))

    def _accept(self) -> None:
        """Remembers prices beyond doubt, against which later ones are measured."""
        for key in list(self._market.learned):
            self._market.accept(key)


def _as_contract(key: TokenKey) -> TokenKey:
    """A native coin is asked for by its wrapped form, which is worth the same."""
    if key.address != NATIVE_TOKEN:
        return key
    return TokenKey(key.chain_id, CHAIN_BY_ID[key.chain_id].wrapped_native)


def _addresses(keys: Iterable[TokenKey]) -> list[str]:
    return [key.address for key in keys]


def _parts(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _by_chain(keys: Iterable[TokenKey], size: int) -> list[list[TokenKey]]:
    """The keys in groups of one chain each, at most ``size`` long."""
    by_chain = [list(group) for _, group in groupby(sorted(keys), key=lambda key: key.chain_id)]
    return [group[start : start + size] for group in by_chain for start in range(0, len(group), size)]
