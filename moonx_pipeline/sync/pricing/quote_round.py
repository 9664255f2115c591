"""One round of asking the price sources, concurrently if they do not depend on each other.

Their answers go into the market as evidence. A source that fails is an outage in the result, never an exception; its
earlier answers stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.market import USDT_KEY, Market
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.providers.price_source import PricesByContract
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.pricing.listings import Listings
from moonx_pipeline.sync.pricing.lookups import Asking, in_parts
from moonx_pipeline.sync.pricing.plan import PricePlan
from moonx_pipeline.sync.pricing.pool_quotes import PoolQuotes, ReadKnown

_UNPRICED_SHARE: Final = 0.25
"""The share of a source's turns that tokens without any price get, if there are so many: it may be their only one."""


class QuoteRound:
    """One round of asking the price sources."""

    def __init__(
        self,
        market: Market,
        calls: ProviderCalls,
        *,
        read_known: ReadKnown,
        syncs: int = 1,
    ) -> None:
        """Prepares a round; no call is made yet.

        Args:
            market: What is known; it learns the answers.
            calls: Calls to the sources.
            read_known: Reads what is stored about tokens that pools are quoted in.
            syncs: The number of users who hold the tokens; multiplies how many are asked for.
        """
        self._ask = Asking(market, calls)
        self._listings = Listings(self._ask)
        self._pools = PoolQuotes(self._ask, self._listings, read_known)
        self._syncs = syncs

    @property
    def outages(self) -> list[str]:
        """Why sources failed, one sentence each."""
        return self._ask.outages

    def ask(self, plan: PricePlan) -> None:
        """Asks as planned, then asks the sources that could confirm what is still open.

        Args:
            plan: Which sources to ask about which tokens.
        """
        market, listings = self._ask.market, self._listings
        market.waiting = plan.waiting
        contracts = listings.start_contracts(plan.contracts)
        pools = self._pools.start(plan.pools)
        coins, direct = listings.start_coins(plan.coins), listings.start_binance(plan.binance)
        listings.take_coins(coins)
        if plan.binance and market.choice(USDT_KEY).quote is not None and market.usdt_rate() is None:
            self._confirm([USDT_KEY])  # Binance's quotes are converted by it
        listings.take_binance(plan.binance, direct)
        listings.take_contracts(contracts)
        self._pools.judge(pools)
        self._confirm([key for key in plan.asked if market.choice(key).is_open])
        # Prices beyond doubt are stored, so that later ones are measured against them.
        for key in list(market.learned):
            market.accept(key)

    def _confirm(self, keys: Iterable[TokenKey]) -> None:
        """Asks, once, the sources that could say more about tokens without a price beyond doubt."""
        wanted = list(keys)
        coins = self._listings.start_second_opinions(wanted)
        contracts = list(dict.fromkeys(map(_as_contract, wanted)))
        calls = [
            (source, part, self._ask.start(source.breaker, source.prices, part))
            for source in self._ask.providers.second_opinions
            for part in in_parts(self._in_turn(contracts, source), source.tokens_a_call)
        ]
        self._listings.take_coins(coins)
        for source, part, call in calls:
            with self._ask.noting_outage():
                self._ask.learn(source.source, part, call.result())
        self._ask_pools_of_majors(contracts)

    def _ask_pools_of_majors(self, contracts: Iterable[TokenKey]) -> None:
        """Asks for pools of majors that nobody else prices: usually better sources do."""
        market = self._ask.market
        unpriced = [
            key
            for key in contracts
            if market.identity(key).is_major
            and market.choice(key).quote is None
            and market.is_due(key, PriceSource.DEXSCREENER)
        ]
        if unpriced:
            self._pools.judge(self._pools.start(unpriced))

    def _in_turn(self, keys: Iterable[TokenKey], source: PricesByContract) -> list[TokenKey]:
        """The tokens to ask a source about: those with a price first, but for a part; the longest overdue first."""
        market = self._ask.market
        due = [
            (key, overdue)
            for key in keys
            if source.serves(key.chain_id) and (overdue := market.overdue(key, source.source)) > 1
        ]
        due.sort(key=lambda one: (-one[1], one[0]))
        most = source.most_a_sync * self._syncs
        priced = [key for key, _ in due if market.evidence(key).quotes]
        others = [key for key, _ in due if not market.evidence(key).quotes]
        priced = priced[: most - min(len(others), int(most * _UNPRICED_SHARE))]
        return [*priced, *others[: most - len(priced)]]


def _as_contract(key: TokenKey) -> TokenKey:
    """The wrapped form of a native coin, which is worth the same; any other token itself."""
    if key.address != NATIVE_TOKEN:
        return key
    return TokenKey(key.chain_id, CHAIN_BY_ID[key.chain_id].wrapped_native)
