"""The clients of the sources of prices against the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.providers.binance import SYMBOLS_A_CALL
from moonx_pipeline.providers.coingecko import COINS_A_CALL
from moonx_pipeline.providers.defillama import LEAST_CONFIDENCE, TOKENS_A_CALL
from moonx_pipeline.providers.errors import KeyRejected, ProviderError, RateLimited, Unavailable
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import World
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.support.quote_rounds import second_opinion
from moonx_pipeline_tests.support.raw_server import answering, http

LINK = next(TokenKey(*key) for key, token in TOKENS.items() if (key[0], token.symbol) == (1, "LINK"))
MESA = next(TokenKey(*key) for key, token in TOKENS.items() if (key[0], token.symbol) == (137, "MESA"))
NOBODY = "0x" + "1" * 40


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(20)


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


def opened(engine: Engine, simulator: RunningSimulator, **environment: str) -> Runtime:
    return open_runtime(Settings.from_environment({**simulator.environment(), **environment}), engine)


# -- Alchemy


def test_alchemy_prices_are_by_contract_within_its_limits(runtime: Runtime, scope: CallScope) -> None:
    keys = [TokenKey(*key) for key in TOKENS]

    quotes = second_opinion(runtime, PriceSource.ALCHEMY).prices(keys, scope)

    assert quotes[LINK].price_usd == Decimal("14.32")
    assert TokenKey(1, NATIVE_TOKEN) not in quotes
    assert len(scope.calls) <= 5


# -- Binance


def test_binance_quotes_are_exact_with_their_change_and_time(runtime: Runtime, scope: CallScope, world: World) -> None:
    world.set_source_price("binance", world.named("ETH"), "2500.10", age=timedelta(days=3), change_percent="-4.125")

    prices = runtime.providers.binance.prices(["ETHUSDT", "SHIBUSDT"], scope)

    ether, shib = prices["ETHUSDT"], prices["SHIBUSDT"]
    assert (ether.price, ether.change_24h) == (Decimal("2500.1"), Decimal("-4.125"))
    assert ether.at is not None
    assert abs(datetime.now(UTC) - timedelta(days=3) - ether.at) < timedelta(hours=2)
    assert (shib.price, shib.change_24h) == (Decimal("0.0000134"), Decimal("1.25"))
    assert [call.endpoint for call in scope.calls] == ["ticker/24hr"]


def test_a_symbol_that_binance_does_not_list_costs_only_itself_and_only_once(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope
) -> None:
    assert runtime.providers.binance.prices(["ETHUSDT", "NOPEUSDT", "SHIBUSDT"], scope).keys() == {
        "ETHUSDT",
        "SHIBUSDT",
    }
    before = simulator.requests("binance")
    assert runtime.providers.binance.prices(["ETHUSDT", "NOPEUSDT", "SHIBUSDT"], scope).keys() == {
        "ETHUSDT",
        "SHIBUSDT",
    }
    assert simulator.requests("binance") - before == 1


def test_more_symbols_than_weigh_little_are_asked_for_in_several_calls(runtime: Runtime, scope: CallScope) -> None:
    runtime.providers.binance.prices([f"S{number}USDT" for number in range(SYMBOLS_A_CALL)], scope)
    asked = len(scope.calls)
    again = CallScope.lasting(20)
    runtime.providers.binance.prices([*(f"T{number}USDT" for number in range(SYMBOLS_A_CALL)), "ETHUSDT"], again)
    assert asked == 1 + SYMBOLS_A_CALL
    assert len(again.calls) == 1 + SYMBOLS_A_CALL + 1


# -- CoinGecko


def test_coingecko_quotes_coins_and_contracts_and_leaves_out_what_it_does_not_list(
    runtime: Runtime, scope: CallScope, world: World
) -> None:
    world.set_source_price("coingecko", world.named("LINK"), "14.32", age=timedelta(days=200), change_percent="-0.5")

    coins = runtime.providers.coingecko.coin_prices(["ethereum", "tether", "no-such-coin"], scope)
    tokens = runtime.providers.coingecko.token_prices(1, [LINK.address, NOBODY], scope)

    assert {name: quote.price_usd for name, quote in coins.items()} == {"ethereum": Decimal("2500.1"), "tether": 1}
    assert {address: quote.price_usd for address, quote in tokens.items()} == {LINK.address: Decimal("14.32")}
    link = tokens[LINK.address]
    assert (link.source, link.change_24h) == (PriceSource.COINGECKO, Decimal("-0.5"))
    assert link.price_at is not None
    assert link.read_at - link.price_at > timedelta(days=199)


def test_the_id_of_a_coin_at_coingecko_is_exact(runtime: Runtime, scope: CallScope, world: World) -> None:
    world.add_token("CASE", price="3", coingecko_id="Upper-Case")

    quotes = runtime.providers.coingecko.coin_prices(["Upper-Case"], scope)

    assert {name: quote.price_usd for name, quote in quotes.items()} == {"Upper-Case": 3}


def test_coingecko_is_asked_for_hundreds_of_coins_in_a_call(runtime: Runtime, scope: CallScope) -> None:
    ids = sorted({token.coin for token in TOKENS.values() if token.coin} | {f"coin-{n}" for n in range(200)})
    quotes = runtime.providers.coingecko.coin_prices(ids[:COINS_A_CALL], scope)
    assert len(scope.calls) == 1
    assert len(quotes) > 15


def test_coingecko_learns_how_many_contracts_a_plan_takes(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope
) -> None:
    simulator.simulation.contracts_a_call = 4
    contracts = [address for chain_id, address in TOKENS if chain_id == 1 and address != NATIVE_TOKEN][:10]

    found = runtime.providers.coingecko.token_prices(1, contracts, scope)

    assert len(found) == len([a for a in contracts if TOKENS[1, a].listed])
    assert runtime.providers.coingecko.batch_size == 4


# -- DefiLlama


def test_defillama_quotes_contracts_of_any_chain_and_native_coins_in_one_call(
    runtime: Runtime, scope: CallScope, world: World
) -> None:
    natives = [TokenKey(chain.id, NATIVE_TOKEN) for chain in KNOWN_CHAINS]

    quotes = second_opinion(runtime, PriceSource.DEFILLAMA).prices([LINK, MESA, *natives, TokenKey(1, NOBODY)], scope)

    assert {key: quote.price_usd for key, quote in quotes.items()} == {
        LINK: Decimal("14.32"),
        MESA: Decimal("22.9"),
        **{native: world.usd(world.token(*native)) for native in natives},
    }
    assert {quote.source for quote in quotes.values()} == {PriceSource.DEFILLAMA}
    assert [call.outcome for call in scope.calls] == ["ok"]


def test_as_many_tokens_as_a_call_takes_fit_into_its_path(runtime: Runtime, scope: CallScope) -> None:
    keys = [TokenKey(42161, f"0x{number:040x}") for number in range(1, TOKENS_A_CALL)]
    assert second_opinion(runtime, PriceSource.DEFILLAMA).prices([*keys, LINK], scope).keys() == {LINK}


def test_defillama_tells_of_when_a_price_is(runtime: Runtime, scope: CallScope, world: World) -> None:
    world.set_source_price("defillama", world.named("LINK"), "14", age=timedelta(days=2))
    quote = second_opinion(runtime, PriceSource.DEFILLAMA).prices([LINK], scope)[LINK]
    assert quote.price_at is not None
    assert quote.read_at - quote.price_at > timedelta(days=1)


@pytest.mark.parametrize(("confidence", "is_price"), [("0.1", False), ("0.49", False), ("0.5", True), ("0.99", True)])
def test_a_price_that_defillama_itself_trusts_little_is_none(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope, confidence: str, is_price: bool
) -> None:
    simulator.fault("low_confidence", "defillama", params={"value": float(confidence)})
    assert (LINK in second_opinion(runtime, PriceSource.DEFILLAMA).prices([LINK], scope)) == is_price
    assert Decimal("0.5") == LEAST_CONFIDENCE


@pytest.mark.parametrize(
    ("coin", "usd"),
    [
        ({"price": 1.5, "timestamp": 1700000000, "confidence": 0.9}, "1.5"),
        ({"price": 1e-7}, "1E-7"),
        ({"price": 0}, None),
        ({"price": -3}, None),
        ({"price": None}, None),
        ({"price": 2, "timestamp": 10**30}, "2"),
        ({"price": 2, "timestamp": None, "confidence": None}, "2"),
        ({"symbol": "LINK"}, None),
        ({"price": {"usd": 1}}, None),
        ([], None),
    ],
    ids=str,
)
def test_an_odd_coin_of_defillama_costs_only_itself(
    engine: Engine, simulator: RunningSimulator, scope: CallScope, coin: Any, usd: str | None
) -> None:
    # Names come back in whatever case they have there.
    body = {"coins": {f"ethereum:{LINK.address.upper()}": coin, f"polygon:{MESA.address}": {"price": 7}}}
    with answering(http(json.dumps(body).encode())) as url:
        runtime = opened(engine, simulator, DEFILLAMA_BASE_URL=url)
        quotes = second_opinion(runtime, PriceSource.DEFILLAMA).prices([LINK, MESA], scope)
    assert {key: str(quote.price_usd) for key, quote in quotes.items()} == {MESA: "7"} | ({LINK: usd} if usd else {})


# -- DexScreener


@pytest.mark.parametrize("suffix", ["", "/", "/latest", "/latest/", "/latest/dex"])
def test_dexscreener_is_found_by_every_form_of_its_address(
    engine: Engine, simulator: RunningSimulator, scope: CallScope, suffix: str
) -> None:
    runtime = opened(engine, simulator, DEXSCREENER_BASE_URL=f"{simulator.base_url}/dexscreener{suffix}")

    listed = runtime.providers.dexscreener.pools(137, [MESA.address], scope)

    assert {(pool.chain_id, pool.base_address) for pool in listed.pools} == {MESA}
    assert listed.cut == frozenset()


def test_a_pool_is_told_with_its_sides_price_change_and_depth(runtime: Runtime, scope: CallScope, world: World) -> None:
    token = world.add_token("TKN", chain_id=8453, price="2", pools=[Pool(250_010)])
    world.set_source_price("dexscreener", token, "2", change_percent="-3.1")

    (pool,) = runtime.providers.dexscreener.pools(8453, [token.address], scope).pools

    weth = "0x4200000000000000000000000000000000000006"
    assert (pool.chain_id, pool.base_address, pool.quote_address) == (8453, token.address, weth)
    assert (pool.price_usd, pool.change_24h, pool.liquidity_usd) == (2, Decimal("-3.1"), 500_020)
    assert pool.liquidity_base == 125_005
    assert pool.liquidity_quote is not None
    assert abs(pool.liquidity_quote - 100) < Decimal("0.001")
    assert pool.price_native is not None
    assert abs(pool.price_native * Decimal("2500.1") - 2) < Decimal("0.001")


@pytest.mark.parametrize(
    ("fault", "params"), [("zero_price", {}), ("no_price", {}), ("no_price", {"absent": True}), ("no_liquidity", {})]
)
def test_what_a_pool_does_not_say_is_none_and_the_pool_is_told_all_the_same(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope, fault: str, params: dict[str, Any]
) -> None:
    simulator.fault(fault, "dexscreener", params=params)
    listed = runtime.providers.dexscreener.pools(137, [MESA.address], scope)
    assert len(listed.pools) == 2
    silent = {pool.liquidity_usd if fault == "no_liquidity" else pool.price_usd for pool in listed.pools}
    assert silent == {None}


@pytest.mark.parametrize("fault", ["empty_answer", "null_answer"])
def test_no_pools_are_an_answer(runtime: Runtime, simulator: RunningSimulator, scope: CallScope, fault: str) -> None:
    simulator.fault(fault, "dexscreener")
    assert runtime.providers.dexscreener.pools(137, [MESA.address], scope) == ([], frozenset())


def test_tokens_that_others_push_out_of_an_answer_are_asked_for_again(
    runtime: Runtime, scope: CallScope, world: World
) -> None:
    popular = [world.add_token(f"POP{n}", price="1", pools=[Pool(10**6 + m) for m in range(14)]) for n in range(3)]
    quiet = [world.add_token(f"QUIET{n}", price="1", pools=[Pool(50_000)]) for n in range(3)]

    listed = runtime.providers.dexscreener.pools(1, [token.address for token in (*popular, *quiet)], scope)

    assert {pool.base_address for pool in listed.pools} >= {token.address for token in (*popular, *quiet)}
    assert listed.cut == {token.address for token in popular}
    assert len(scope.calls) == 2


def test_an_answer_about_one_token_is_all_there_is_to_know(runtime: Runtime, scope: CallScope, world: World) -> None:
    busy = world.add_token("BUSY", price="1", pools=[Pool(10**6 + n) for n in range(40)])
    listed = runtime.providers.dexscreener.pools(1, [busy.address], scope)
    assert (len(listed.pools), listed.cut) == (30, frozenset())


# -- all of them

ASK: dict[str, Callable[[Runtime, CallScope], Any]] = {
    "alchemy": lambda runtime, scope: second_opinion(runtime, PriceSource.ALCHEMY).prices([LINK], scope),
    "binance": lambda runtime, scope: runtime.providers.binance.prices(["ETHUSDT"], scope),
    "coingecko": lambda runtime, scope: runtime.providers.coingecko.coin_prices(["ethereum"], scope),
    "defillama": lambda runtime, scope: second_opinion(runtime, PriceSource.DEFILLAMA).prices([LINK], scope),
    "dexscreener": lambda runtime, scope: runtime.providers.dexscreener.pools(1, [LINK.address], scope).pools,
}


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        (provider, fault)
        for provider in ASK
        for fault in ("outage", "rate_limit", "malformed", "wrong_types", "reset", "truncate")
        # All of CoinGecko's answer is rows: odd ones are coins without a price.
        if (provider, fault) != ("coingecko", "wrong_types")
    ],
)
def test_every_fault_of_a_source_of_prices_is_a_typed_error(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope, provider: str, fault: str
) -> None:
    simulator.fault(fault, provider)

    with pytest.raises(ProviderError) as problem:
        ASK[provider](runtime, scope)

    assert problem.value.provider == provider
    assert {call.provider for call in scope.calls} == {provider}
    assert "ok" not in {call.outcome for call in scope.calls}


@pytest.mark.parametrize("fault", ["empty_answer", "zero_price"])
@pytest.mark.parametrize("provider", ["alchemy", "binance", "coingecko", "defillama"])
def test_an_answer_without_a_price_is_no_error_and_no_price(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope, provider: str, fault: str
) -> None:
    simulator.fault(fault, provider)
    assert ASK[provider](runtime, scope) == {}
    assert {call.outcome for call in scope.calls} == {"ok"}


# -- refusals and rows that are not as documented


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (b"429", RateLimited),
        (b'"429"', RateLimited),
        (b"401", KeyRejected),
        (b"10002", Unavailable),
        (b"0", Unavailable),
    ],
)
def test_a_refusal_of_coingecko_with_status_200_is_no_answer(
    engine: Engine, simulator: RunningSimulator, scope: CallScope, code: bytes, kind: type[ProviderError]
) -> None:
    body = b'{"status":{"error_code":' + code + b',"error_message":"You have exceeded the Rate Limit."}}'
    with answering(http(body)) as url:
        coingecko = opened(engine, simulator, COINGECKO_BASE_URL=url).providers.coingecko
        with pytest.raises(kind):
            coingecko.coin_prices(["ethereum"], scope)


def test_a_coin_whose_id_is_status_has_a_price(engine: Engine, simulator: RunningSimulator, scope: CallScope) -> None:
    with answering(http(b'{"status":{"usd":0.021,"last_updated_at":1767268800}}')) as url:
        prices = opened(engine, simulator, COINGECKO_BASE_URL=url).providers.coingecko.coin_prices(["status"], scope)
    assert prices["status"].price_usd == Decimal("0.021")


@pytest.mark.parametrize(
    "odd", [b'"usd_24h_change":"N/A"', b'"usd_24h_change":[]', b'"last_updated_at":{}', b'"last_updated_at":"now"']
)
def test_an_odd_change_or_time_does_not_cost_a_price(
    engine: Engine, simulator: RunningSimulator, scope: CallScope, odd: bytes
) -> None:
    with answering(http(b'{"odd":{"usd":1.5,' + odd + b'},"good":{"usd":2},"none":{"usd":"many"}}')) as url:
        coingecko = opened(engine, simulator, COINGECKO_BASE_URL=url).providers.coingecko
        prices = coingecko.coin_prices(["odd", "good", "none"], scope)
    assert {name: quote.price_usd for name, quote in prices.items()} == {"odd": Decimal("1.5"), "good": 2}
    assert (prices["odd"].change_24h, prices["odd"].price_at) == (None, None)
