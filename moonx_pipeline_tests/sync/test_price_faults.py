"""Totals of a wallet while sources of prices fail, say nothing or say odd things, in one sync and in the next."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from moonx_pipeline.providers.dexscreener import ADDRESSES_A_CALL
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import EMPTY_WALLET, World
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.quote_rounds import SIX_MINUTES, list_token
from moonx_pipeline_tests.support.raw_server import answering, http
from moonx_pipeline_tests.support.syncs import age_prices, portfolio, register, sync, violations

WALLET = EMPTY_WALLET
LONGER = timedelta(minutes=50)
"""Almost as long as a price may be used."""


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


class Wallet(NamedTuple):
    """Tokens of every kind that prices make a difference for, each worth a different sum.

    Attributes:
        counted: What is in the total, by symbol.
        kept_out: Why each of the others is not.
    """

    counted: dict[str, Decimal]
    kept_out: dict[str, str]

    @property
    def total(self) -> Decimal:
        return sum(self.counted.values(), Decimal(0))


@pytest.fixture
def held(engine: Engine, world: World) -> Wallet:
    """A wallet with a coin, listed and unlisted tokens, some with suspicious names, and scams."""

    def put(
        symbol: str, amount: str, price: str | None, *pools: Pool, coin: str | None = None, **more: Any
    ) -> SimToken:
        token = world.add_token(symbol, price=price, pools=pools, coingecko_id=coin, held={WALLET: amount}, **more)
        if coin:
            list_token(engine, token, coin)
        return token

    world.set_balance(WALLET, world.named("ETH"), 2 * 10**18)
    world.set_price("ETH", Decimal(2500))
    put("GOOD", "50000", "1.25", Pool(4_000_000))
    put("YIELD", "7000", "0.5", Pool(900_000), name="Yield.finance Share")
    put("LSTD", "100", "31", coin="listed-coin", name="listed.io")
    put("BOTH", "40", "20", Pool(2_000_000), coin="both-coin")
    scam = put("SCAM", "900", None, Pool(6))
    forged = put("USDT", "12000", None, Pool(2))
    for token, usd in ((scam, "11"), (forged, "1")):
        for source in ("alchemy", "dexscreener"):
            world.set_source_price(source, token, usd)
    put("GIFT", "1000000", None, name="Visit gift.example to claim")
    register(engine, "ann", WALLET)
    return Wallet(
        {
            "ETH": Decimal(5000),
            "GOOD": Decimal(62500),
            "YIELD": Decimal(3500),
            "LSTD": Decimal(3100),
            "BOTH": Decimal(800),
        },
        {"SCAM": "low_liquidity", "USDT": "spam", "GIFT": "spam"},
    )


def seen(engine: Engine) -> Wallet:
    """What is stored now."""
    positions = portfolio(engine).positions
    return Wallet(
        {p.symbol or "": p.value_usd.normalize() for p in positions if p.not_counted_reason is None and p.value_usd},
        {p.symbol or "": p.not_counted_reason for p in positions if p.not_counted_reason},
    )


SILENT = [
    ("binance", "outage", {}),
    ("binance", "geo_block", {}),
    ("binance", "empty_answer", {}),
    ("binance", "null_answer", {}),
    ("binance", "zero_price", {}),
    ("binance", "truncate", {}),
    ("coingecko", "outage", {}),
    ("coingecko", "rate_limit", {}),
    ("coingecko", "empty_answer", {}),
    ("coingecko", "null_answer", {}),
    ("coingecko", "zero_price", {}),
    ("coingecko", "no_price", {}),
    ("coingecko", "wrong_types", {}),
    ("dexscreener", "outage", {}),
    ("dexscreener", "firewall", {}),
    ("dexscreener", "reset", {}),
    ("dexscreener", "malformed", {}),
    ("dexscreener", "empty_answer", {}),
    ("dexscreener", "null_answer", {}),
    ("dexscreener", "zero_price", {}),
    ("dexscreener", "no_price", {}),
    ("dexscreener", "no_price", {"absent": True}),
    ("dexscreener", "no_liquidity", {}),
    ("defillama", "outage", {}),
    ("defillama", "empty_answer", {}),
    ("defillama", "low_confidence", {}),
    *((provider, "nested", {}) for provider in ("binance", "coingecko", "dexscreener", "defillama")),
    ("binance", "slow_headers", {"seconds": 0.1}),
]


@pytest.mark.parametrize(("provider", "fault", "params"), SILENT, ids=lambda value: str(value))
def test_a_source_that_fails_or_says_nothing_changes_no_total(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, held: Wallet, provider: str, fault: str, params: dict
) -> None:
    sync(runtime)
    assert seen(engine) == held

    simulator.fault(fault, provider, params=params)
    for age in (SIX_MINUTES, SIX_MINUTES, LONGER):
        age_prices(engine, age)
        assert sync(runtime).status == "completed"
        assert seen(engine) == held, age

    simulator.simulation.faults.clear()
    age_prices(engine, SIX_MINUTES)
    sync(runtime)
    assert seen(engine) == held
    assert violations(engine) == []


def test_all_sources_at_once_may_fail_for_as_long_as_a_price_is_used(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, held: Wallet
) -> None:
    sync(runtime)
    for provider in ("binance", "coingecko", "defillama", "dexscreener"):
        simulator.fault("outage", provider)
    simulator.fault("outage", endpoint="prices/by-address")
    age_prices(engine, LONGER)
    sync(runtime)
    assert seen(engine) == held

    age_prices(engine, timedelta(days=30))
    sync(runtime)

    nothing = seen(engine)
    # No price is used any more; what is spam is so by what was answered, and a scam is none the better for it.
    assert nothing.counted == {}
    assert nothing.kept_out == {
        **dict.fromkeys(held.counted, "unpriced"),
        "SCAM": "unpriced",
        "USDT": "spam",
        "GIFT": "spam",
    }


@pytest.mark.parametrize("days", [1, 3, 40])
def test_scams_that_were_refused_stay_out_however_long_pools_are_not_told(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, held: Wallet, days: int
) -> None:
    sync(runtime)
    simulator.fault("outage", "dexscreener")
    age_prices(engine, timedelta(days=days))

    sync(runtime)

    now = seen(engine)
    assert {symbol: now.kept_out.get(symbol) for symbol in held.kept_out} == held.kept_out
    assert {"ETH", "LSTD", "BOTH"} <= now.counted.keys()


# -- suspicion


def test_who_is_suspected_is_judged_once_somebody_has_answered(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, held: Wallet
) -> None:
    simulator.fault("outage", "dexscreener")
    sync(runtime)
    first = seen(engine)
    # Lists name some; of the others nobody knows yet, so none is spam and none counts.
    assert {"ETH", "LSTD", "BOTH"} <= first.counted.keys()
    assert {symbol: first.kept_out[symbol] for symbol in ("YIELD", "USDT")} == dict.fromkeys(
        ("YIELD", "USDT"), "suspected"
    )
    assert "spam" not in first.kept_out.values()
    simulator.simulation.faults.clear()

    sync(runtime)

    assert seen(engine) == held


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BAL", "balancer.fi"),
        ("wstETH", "Wrapped stETH"),
        ("USDC", "USD Coin"),
        ("CLM", "Claim Protocol"),
        ("ZW\u200bJ", "Joined"),
    ],
)
def test_a_name_is_no_verdict_where_a_list_or_pools_speak_for_the_token(
    engine: Engine, runtime: Runtime, world: World, symbol: str, name: str
) -> None:
    pooled = world.add_token(symbol, chain_id=8453, name=name, price="2", pools=[Pool(1_300_000)], held={WALLET: "10"})
    listed = world.add_token(symbol, chain_id=10, name=name, price="2", coingecko_id="a-coin", held={WALLET: "10"})
    world.add_token(symbol, chain_id=137, name=name, price="2", held={WALLET: "10"})
    list_token(engine, listed, "a-coin")
    register(engine, "ann", WALLET)

    sync(runtime)

    reasons = {p.chain_id: p.not_counted_reason for p in portfolio(engine).positions}
    assert reasons == {pooled.chain_id: None, listed.chain_id: None, 137: "spam"}


# -- confirm before refusing


@pytest.mark.parametrize("factor", ["14", "0.05"])
def test_a_price_that_really_jumped_counts_at_once(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, world: World, held: Wallet, factor: str
) -> None:
    sync(runtime)
    for symbol in ("GOOD", "LSTD", "BOTH"):
        name = world.named(symbol).price or ""
        world.set_price(name, world.prices[name] * Decimal(factor))
    age_prices(engine, SIX_MINUTES)
    simulator.simulation.faults.requests.clear()

    sync(runtime)

    moved = {symbol: held.counted[symbol] * Decimal(factor) for symbol in ("GOOD", "LSTD", "BOTH")}
    assert seen(engine).counted == {**held.counted, **moved}
    assert simulator.requests("defillama") == 1


# -- one that is wrong by a million


@pytest.mark.parametrize("source", ["coingecko", "dexscreener", "alchemy", "defillama"])
@pytest.mark.parametrize("factor", ["1000000", "0.000001"])
def test_one_source_that_is_wrong_by_a_million_moves_no_total(
    engine: Engine, runtime: Runtime, world: World, held: Wallet, source: str, factor: str
) -> None:
    both = world.named("BOTH")
    world.set_source_price(source, both, Decimal(20) * Decimal(factor))
    for trigger in ("schedule", "manual"):
        sync(runtime, trigger=trigger)
        assert seen(engine).total <= held.total
        assert seen(engine).counted.get("BOTH") in (None, Decimal(800))
        age_prices(engine, SIX_MINUTES)


# -- many tokens


def test_tokens_beyond_what_a_sync_asks_for_have_their_turn_and_keep_their_price(
    engine: Engine, runtime: Runtime, world: World
) -> None:
    for number in range(330):
        world.add_token(f"N{number}", chain_id=8453, price="20", pools=[Pool(50_000)], held={WALLET: "10"})
    register(engine, "ann", WALLET)

    totals = []
    for _ in range(3):
        sync(runtime)
        totals.append(portfolio(engine).total_value_usd)
        age_prices(engine, timedelta(seconds=6))

    assert totals == [330 * 200] * 3
    age_prices(engine, timedelta(hours=2))
    sync(runtime)
    assert portfolio(engine).total_value_usd == 330 * 200


def test_a_price_source_that_answers_one_call_at_a_time_answers_all_of_them(
    engine: Engine, simulator: RunningSimulator, world: World
) -> None:
    for number in range(900):
        world.add_token(f"N{number}", chain_id=8453, held={WALLET: "10"})
    register(engine, "ann", WALLET)
    answers = []

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.03)
        connection.sendall(http(b"[]"))
        answers.append(connection)

    with answering(slowly) as url:
        narrow = {"DEXSCREENER_BASE_URL": url, "DEXSCREENER_TIMEOUT": "500"}
        synced = sync(
            open_runtime(Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED, **narrow}), engine)
        )

    assert (synced.status, synced.message) == ("completed", None)
    assert len(answers) == 900 / ADDRESSES_A_CALL


# -- a user who waits


def test_prices_of_what_is_held_are_asked_for_while_balances_are_read(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, held: Wallet
) -> None:
    sync(runtime)
    age_prices(engine, SIX_MINUTES)
    simulator.simulation.faults.latency_ms["alchemy"] = 1500
    pipeline = SyncPipeline(runtime)
    balances, prices = simulator.requests("alchemy tokens/by-address"), simulator.requests("binance")

    fetch = pipeline.start_fetch(pipeline.open(SyncSpec(uuid4(), "ann")))

    def asks_for_prices() -> None:
        assert simulator.requests("binance") > prices

    eventually(asks_for_prices)
    assert simulator.requests("alchemy tokens/by-address") == balances
    (valued,) = pipeline.value(fetch.result())
    assert simulator.requests("binance") == prices + 1
    assert valued.totals.value_usd == held.total


def test_a_source_that_fails_is_asked_once_by_who_waits_as_by_a_schedule(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, held: Wallet
) -> None:
    sync(runtime)
    simulator.fault("outage", "binance")
    asked, outages, pipeline = [], [], SyncPipeline(runtime)
    for trigger in ("schedule", "manual"):
        age_prices(engine, SIX_MINUTES)
        before = simulator.requests("binance")
        (valued,) = pipeline.value(pipeline.start_fetch(pipeline.open(SyncSpec(uuid4(), "ann", trigger))).result())
        outages.append(valued.outages)
        asked.append(simulator.requests("binance") - before)
        pipeline.store_one(valued)

    assert asked[0] == asked[1] > 0
    assert outages[0] == outages[1]
    assert len(outages[0]) == 1
    assert "binance" in outages[0][0]
    assert portfolio(engine).total_value_usd == held.total
