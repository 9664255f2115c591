"""Which sources a sync asks for prices, and how often."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.curated import USDT_KEY
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import BookPrice
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS, spam_token
from moonx_pipeline.sync.breaking import Breakers
from moonx_pipeline.sync.price import MAX_ASKED, price_tokens
from moonx_pipeline.sync.sources import Sources

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ETHER = TokenKey(1, NATIVE_TOKEN)
NIMB = next(TokenKey(*key) for key, token in TOKENS.items() if (key[0], token.symbol) == (8453, "NIMB"))


def price(sources: Sources, *keys: TokenKey, book=None, trigger: str = "schedule", tokens=None, quotes=None):
    return price_tokens(
        set(keys),
        tokens=tokens or {},
        book=book or {},
        quotes=quotes or {},
        sources=sources,
        breakers=Breakers(sources.breaking, {}),
        trigger=trigger,
        scope=CallScope.lasting(20),
        now=NOW,
    )


def entry(usd: str | None, *, age: timedelta, source: str = "binance") -> BookPrice:
    value = None if usd is None else Decimal(usd)
    return BookPrice(value, source if usd else None, NOW - age, None, None, (), NOW - age, value, NOW - age)


def test_a_fresh_entry_of_the_book_is_used_and_nobody_is_asked(sources: Sources, simulator: RunningSimulator) -> None:
    pricing = price(sources, ETHER, book={ETHER: entry("2400", age=timedelta(minutes=4))})

    assert pricing.prices[ETHER].price_usd == 2400
    assert (simulator.requests(), pricing.learned) == (0, {})


def test_a_person_gets_prices_read_anew(sources: Sources, simulator: RunningSimulator) -> None:
    pricing = price(sources, ETHER, book={ETHER: entry("2400", age=timedelta(minutes=4))}, trigger="manual")

    assert pricing.prices[ETHER].price_usd == Decimal("2500.10")
    assert simulator.requests("binance") == 1


def test_a_quote_in_usdt_is_converted_by_what_a_usdt_is_worth(sources: Sources, simulator: RunningSimulator) -> None:
    simulator.simulation.world.set_price("USDT", Decimal("0.5"))

    pricing = price(sources, ETHER)

    assert pricing.prices[ETHER].price_usd == Decimal("2500.10")  # 5000.20 USDT
    assert pricing.learned[USDT_KEY].price_usd == Decimal("0.5")


def test_where_nobody_says_what_a_usdt_is_worth_it_counts_as_one_dollar_and_says_so(
    sources: Sources, simulator: RunningSimulator
) -> None:
    simulator.fault("outage", "coingecko")

    assert price(sources, ETHER).prices[ETHER].flags == ("usdt_at_par",)


def test_a_token_without_a_curated_price_is_priced_by_its_deepest_pool(sources: Sources) -> None:
    pricing = price(sources, NIMB)

    assert (pricing.prices[NIMB].price_usd, pricing.prices[NIMB].source) == (Decimal("1.27"), "dexscreener")
    assert pricing.prices[NIMB].liquidity_usd is not None
    assert abs(pricing.prices[NIMB].liquidity_usd - 850_000) < 1


def test_plain_spam_is_never_asked_about(sources: Sources, simulator: RunningSimulator) -> None:
    token = spam_token(0)
    key = TokenKey(token.chain_id, token.address)

    pricing = price(sources, key, tokens={key: TokenInfo(token.symbol, token.name, token.decimals)})

    assert (simulator.requests(), pricing.prices) == (0, {})


def test_a_wallet_of_thousands_of_tokens_costs_a_bounded_number_of_calls(
    sources: Sources, simulator: RunningSimulator
) -> None:
    keys = [TokenKey(1, f"0x{number:040x}") for number in range(1, 3001)]

    pricing = price(sources, *keys)

    assert simulator.requests("dexscreener") == MAX_ASKED // 30
    assert len([key for key in keys if key in pricing.learned]) == MAX_ASKED


def test_the_next_sync_asks_about_those_that_the_last_one_did_not_reach(sources: Sources) -> None:
    keys = [TokenKey(1, f"0x{number:040x}") for number in range(1, MAX_ASKED + 11)]
    first = price(sources, *keys)

    second = price(sources, *keys, book=first.prices)

    assert {*first.learned, *second.learned} >= set(keys)
    assert not set(keys) & first.learned.keys() & second.learned.keys()


@pytest.mark.parametrize(("age", "asked"), [(timedelta(minutes=30), 0), (timedelta(minutes=61), 1)])
def test_a_token_that_nobody_prices_is_asked_about_an_hour_apart(
    sources: Sources, simulator: RunningSimulator, age: timedelta, asked: int
) -> None:
    key = TokenKey(1, "0x" + "12" * 20)

    price(sources, key, book={key: entry(None, age=age), ETHER: entry("2500", age=timedelta(0))})

    assert simulator.requests("dexscreener") == asked


def test_an_outage_erases_no_price(sources: Sources, simulator: RunningSimulator) -> None:
    simulator.fault("outage", "dexscreener")
    simulator.fault("outage", endpoint="prices/by-address")
    known = {NIMB: entry("1.2", age=timedelta(minutes=20), source="dexscreener")}

    pricing = price(sources, NIMB, book=known)

    assert (pricing.prices[NIMB].price_usd, pricing.prices[NIMB].flags) == (Decimal("1.2"), ("old_price",))
    assert NIMB not in pricing.learned
    assert any("dexscreener" in outage for outage in pricing.outages)


def test_a_curated_token_is_not_crowded_out_by_hundreds_of_unknown_ones(sources: Sources) -> None:
    bridged = next(TokenKey(*key) for key, token in TOKENS.items() if (key[0], token.symbol) == (137, "USDC.e"))
    crowd = [TokenKey(1, f"0x{number:040x}") for number in range(1, 301)]

    pricing = price(sources, bridged, *crowd)

    assert (pricing.prices[bridged].price_usd, pricing.prices[bridged].source) == (Decimal("0.9991"), "alchemy")
