"""Rounds of asking for prices, one after the other, over what is stored; without any wallet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.market import ALWAYS_KNOWN, Known, Market
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import Choice
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.providers.price_source import PricesByContract
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.storage.tokens.token_store import read_tokens, write_tokens
from moonx_pipeline.sync.calls import ProviderCalls
from moonx_pipeline.sync.pricing.plan import PricePlan, max_price_age, plan_prices
from moonx_pipeline.sync.pricing.quote_round import QuoteRound
from moonx_pipeline.sync.protection.breakers import Breakers
from moonx_pipeline.sync.runtime import Runtime


@dataclass(frozen=True)
class RoundResult:
    """What a round of asking came to."""

    market: Market
    plan: PricePlan
    outages: list[str] = field(default_factory=list)

    def choice(self, token: SimToken | TokenKey) -> Choice:
        return self.market.choice(key(token))

    def usd(self, token: SimToken | TokenKey) -> Decimal | None:
        quote = self.choice(token).quote
        return quote.price_usd if quote else None


def key(token: SimToken | TokenKey) -> TokenKey:
    return TokenKey(token.chain_id, token.address)


def second_opinion(runtime: Runtime, source: PriceSource) -> PricesByContract:
    """A source that is asked about prices in doubt."""
    return next(one for one in runtime.providers.second_opinions if one.source is source)


def list_token(engine: Engine, token: SimToken, coingecko_id: str | None = None) -> None:
    """Puts a contract into the token registry."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO token_registry (chain_id, token_address, symbol, name, coingecko_id, lists) "
            "VALUES (%s, %s, %s, %s, %s, '{superchain}')",
            (token.chain_id, token.address, token.symbol, token.name, coingecko_id),
        )


def stored_market(
    runtime: Runtime,
    keys: Collection[TokenKey],
    *,
    trigger: str = "schedule",
    now: datetime | None = None,
) -> Market:
    """What is known of tokens by what is stored."""
    with runtime.db.engine.connect() as connection:
        known = read_tokens(connection, {*keys, *ALWAYS_KNOWN}).known
    return Market(
        known,
        now=now or utc_now(),
        limits=runtime.policy.price_limits,
        fresh_for=max_price_age(runtime.policy, trigger),
        old_after=runtime.policy.fresh_for,
    )


def ask(
    runtime: Runtime,
    *tokens: SimToken | TokenKey,
    trigger: str = "schedule",
    names: Mapping[TokenKey, TokenInfo] | None = None,
    quoted: Collection[TokenKey] = (),
    syncs: int = 1,
) -> RoundResult:
    """One round: reads what is stored, plans, asks, and stores what was learned."""
    keys = {key(token) for token in tokens}
    market = stored_market(runtime, keys, trigger=trigger)
    has_key = runtime.providers.coingecko.has_key
    plan = plan_prices(
        keys,
        market,
        runtime.policy,
        has_coingecko_key=has_key,
        tokens=names or {},
        quoted=quoted,
        syncs=syncs,
    )

    def read_known(others: Collection[TokenKey]) -> Mapping[TokenKey, Known]:
        with runtime.db.engine.connect() as connection:
            return read_tokens(connection, others).known

    calls = ProviderCalls(runtime.providers, Breakers(runtime.policy.breakers, {}), CallScope.lasting(20))
    asking = QuoteRound(market, calls, read_known=read_known, syncs=syncs)
    asking.ask(plan)
    with runtime.db.engine.begin() as connection:
        write_tokens(connection, tokens={}, evidence=market.learned)
    return RoundResult(market, plan, list(asking.outages))


SIX_MINUTES = timedelta(minutes=6)
"""After so long a price that matters is asked for again."""
