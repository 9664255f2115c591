"""Plans which tokens' prices to ask for, and at which sources. Makes no calls.

Only what is due is asked: each source by the age of its own last answer. Every token gets a turn: tokens never asked
for come first, the others by how long they are overdue. So a wallet of thousands of tokens costs a bounded number of
calls, and the next sync continues where this one stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.market import JUDGED_AGAIN, USDT_KEY, Market
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.domain.spam import suspicions
from moonx_pipeline.sync.runtime import SyncPolicy
from moonx_pipeline.sync.spec import PERSONAL_TRIGGERS

PERSON_MAX_AGE: Final = timedelta(seconds=5)
"""Prices older than this are read again for a user who asks."""

MAX_ASKED: Final = 300
"""The most tokens beyond the majors whose price a sync asks for again."""


class PricePlan(NamedTuple):
    """The tokens whose prices are asked for, by source.

    Attributes:
        binance: Direct quotes.
        coins: CoinGecko, by the coin's id.
        contracts: CoinGecko, by contract, which needs a key.
        pools: DexScreener.
        waiting: Due tokens whose turn has not come.
    """

    binance: frozenset[TokenKey]
    coins: frozenset[TokenKey]
    contracts: frozenset[TokenKey]
    pools: frozenset[TokenKey]
    waiting: frozenset[TokenKey]

    @property
    def asked(self) -> frozenset[TokenKey]:
        return self.binance | self.coins | self.contracts | self.pools

    def without(self, keys: frozenset[TokenKey]) -> PricePlan:
        """The plan without tokens that were asked about already."""
        return PricePlan(*(part - keys for part in self)) if keys else self


def max_price_age(policy: SyncPolicy, trigger: str) -> timedelta:
    """How old an important price may be."""
    return PERSON_MAX_AGE if trigger in PERSONAL_TRIGGERS else policy.fresh_for


def plan_prices(
    keys: Collection[TokenKey],
    market: Market,
    policy: SyncPolicy,
    *,
    has_coingecko_key: bool,
    tokens: Mapping[TokenKey, TokenInfo],
    quoted: Collection[TokenKey] = (),
    syncs: int = 1,
) -> PricePlan:
    """Plans which sources to ask about tokens.

    Args:
        keys: The tokens.
        market: What is known about them.
        policy: How many tokens may be asked for, and how old prices may be.
        has_coingecko_key: Whether CoinGecko can be asked by contract.
        tokens: Their known metadata.
        quoted: Tokens whose price came with the balances.
        syncs: The number of users who hold them; multiplies how many are asked for.
    """
    majors = {key for key in keys if market.identity(key).is_major}
    turn, waiting = _turns(
        (key for key in keys if key not in majors),
        market,
        policy,
        has_coingecko_key=has_coingecko_key,
        tokens=tokens,
        quoted=quoted,
        syncs=syncs,
    )
    # Pools quote in the native coin, and Binance in USDT: judging the others needs their prices.
    natives = {TokenKey(key.chain_id, NATIVE_TOKEN) for key in turn}
    majors |= {key for key in natives if not market.has_price_of(key, policy.fresh_for)}
    binance = {key for key in majors if market.identity(key).binance_symbol and market.is_due(key, PriceSource.BINANCE)}
    if binance and not market.has_price_of(USDT_KEY, policy.fresh_for):
        majors.add(USDT_KEY)
    listings = {key for key in (*majors, *turn) if market.is_due(key, PriceSource.COINGECKO)}
    coins = {key for key in listings if market.identity(key).coingecko_id and not market.identity(key).binance_symbol}
    contracts = {key for key in listings if has_coingecko_key and key in turn and key not in coins}
    pools = {key for key in turn if market.is_due(key, PriceSource.DEXSCREENER)}
    return PricePlan(*map(frozenset, (binance, coins, contracts, pools, waiting)))


def _turns(
    keys: Iterable[TokenKey],
    market: Market,
    policy: SyncPolicy,
    *,
    has_coingecko_key: bool,
    tokens: Mapping[TokenKey, TokenInfo],
    quoted: Collection[TokenKey],
    syncs: int,
) -> tuple[set[TokenKey], set[TokenKey]]:
    """The tokens to ask about now, and those whose turn comes later."""
    new: list[tuple[bool, bool, TokenKey]] = []
    again: list[tuple[float, TokenKey]] = []
    for key in keys:
        if not market.was_asked_for(key):
            new.append((not market.is_listed(key), key not in quoted, key))
            continue
        overdue = market.overdue(key, PriceSource.DEXSCREENER)
        has_listing = has_coingecko_key or market.identity(key).coingecko_id is not None
        # The one that failed is asked again, though the other has answered.
        is_due = overdue > 1 or (has_listing and market.is_due(key, PriceSource.COINGECKO))
        if is_due and not _is_resting_spam(key, market, tokens):
            again.append((-overdue, key))
    new.sort()
    again.sort()
    most_new, most_again = policy.first_looks, MAX_ASKED * syncs
    now = {key for *_, key in new[:most_new]} | {key for _, key in again[:most_again]}
    later = {key for *_, key in new[most_new:]} | {key for _, key in again[most_again:]}
    return now, later


def _is_resting_spam(key: TokenKey, market: Market, tokens: Mapping[TokenKey, TokenInfo]) -> bool:
    """Whether a token was judged spam too recently to be asked for again."""
    answered = market.own_evidence(key).answered.get(PriceSource.DEXSCREENER)
    if answered is None or market.now - answered > JUDGED_AGAIN or market.is_listed(key) or market.is_deep(key):
        return False
    if market.choice(key).rule not in ("none", "thin_pools"):
        return False  # another source prices what is said to have no pool
    return key in tokens and bool(suspicions(tokens[key]))
