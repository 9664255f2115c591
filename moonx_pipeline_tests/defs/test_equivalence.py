"""A sync has the same result whether the job, a sweep or the pipeline alone runs it, whatever a provider does.

A sweep is tried twice: once it values everything, and once it may find that nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline.launch import run_portfolio_sync
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.fault_answers import OF_ANY_PROVIDER, has_answer
from moonx_pipeline.simulator.faults import IN_ANSWER
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline.storage.protection.breaker_rows import breakers
from moonx_pipeline.storage.syncs.evidence_log import read_explanation
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.sweep import Sweep, SweepSpec
from moonx_pipeline_tests.support.syncs import age_prices, event_types, operation, portfolio, register, sync, violations

PROVIDERS = ("alchemy", "dexscreener", "coingecko", "binance", "defillama")
WHOLE_ANSWERS = frozenset(
    {"rate_limit", "quota", "bad_key", "forbidden", "outage", "banned", "firewall", "geo_block", "wrong_host"}
)
PARAMS: dict[str, dict[str, Any]] = {
    "status": {"params": {"status": 600}},
    "scaled_price": {"params": {"factor": "3"}},
    "old_quotes": {"params": {"days": 30}},
    "partial_error": {"network": "polygon-mainnet"},
    "silent_network": {"network": "polygon-mainnet"},
    "slow_drip": {"params": {"seconds": 0.5}},
}
SILENT = frozenset({"hang", "slow_drip", "slow_headers"})
QUOTES = frozenset({"zero_price", "no_price", "scaled_price", "old_quotes", "low_confidence", "no_liquidity"})


def _faults() -> list[tuple[str, str]]:
    """Each kind of fault with the provider that reads balances, or else the first that has it."""
    kinds = sorted({*IN_ANSWER, *OF_ANY_PROVIDER, *WHOLE_ANSWERS} - QUOTES)
    of = {kind: next((p for p in PROVIDERS if has_answer(p, kind)), "alchemy") for kind in kinds}
    prices = {"zero_price": "binance", "no_price": "coingecko", "scaled_price": "alchemy", "old_quotes": "coingecko"}
    others = {"low_confidence": "defillama", "no_liquidity": "dexscreener"}
    return [*of.items(), *prices.items(), *others.items(), ("hang", "dexscreener")]


FAULTS = _faults()


@pytest.fixture
def quick(environment: pytest.MonkeyPatch, database_url: str, kind: str) -> Runtime:
    """The environment of a worker whose providers are given up soon, if they are silent; never else.

    A call that is given up only because the machine is busy counts for a breaker, so one way would differ from another.
    """
    timeout = "1000" if kind in SILENT else "10000"
    for name in ("ALCHEMY_TIMEOUT", "BINANCE_TIMEOUT", "DEFILLAMA_TIMEOUT", "DEXSCREENER_TIMEOUT", "COINGECKO_TIMEOUT"):
        environment.setenv(name, timeout)
    environment.setenv("WORKER_TIMEOUT", "20000")
    environment.setenv("ALCHEMY_RETRIES", "2")
    load_settings.cache_clear()
    settings = load_settings()
    return open_runtime(settings, ready_engine(settings))


def test_every_kind_of_fault_is_tried() -> None:
    assert {kind for kind, _ in FAULTS} == {*IN_ANSWER, *OF_ANY_PROVIDER, *WHOLE_ANSWERS}


@pytest.mark.parametrize(("kind", "provider"), FAULTS)
def test_a_fault_has_the_same_result_by_job_sweep_and_pipeline(
    engine: Engine,
    quick: Runtime,
    instance: dg.DagsterInstance,
    simulator: RunningSimulator,
    kind: str,
    provider: str,
) -> None:
    def by_job(user_id: str) -> None:
        with run_portfolio_sync(instance, user_id, {"moonx/trigger": "schedule"}, log_level="CRITICAL"):
            pass

    def by_sweep(user_id: str) -> None:
        _execute(engine, "UPDATE user_sync_status SET next_sync_at = CASE WHEN user_id = %s THEN now() END", user_id)
        assert Sweep(quick, SweepSpec(10)).run().users == 1

    def by_pipeline(user_id: str) -> None:
        sync(quick, user_id, trigger="schedule")

    def by_full_sweep(user_id: str) -> None:
        _execute(engine, "UPDATE user_sync_status SET inputs_hash = NULL WHERE user_id = %s", user_id)
        by_sweep(user_id)

    ways: dict[str, Callable[[str], None]] = {
        "job": by_job,
        "full sweep": by_full_sweep,
        "pipeline": by_pipeline,
        "sweep": by_sweep,
    }
    for user_id in ways:
        register(engine, user_id, PLAIN_WALLET)
        sync(quick, user_id, trigger="schedule")
    _execute(engine, "CREATE TABLE before AS SELECT * FROM token_evidence")

    results = {}
    for user_id, run in ways.items():
        # Each finds what the others found: nothing of what they learned.
        _execute(engine, "TRUNCATE token_evidence, circuit_breakers, rate_limits")
        _execute(engine, "INSERT INTO token_evidence SELECT * FROM before")
        age_prices(engine, timedelta(minutes=30))
        simulator.simulation.faults.add(kind=kind, provider=provider, **PARAMS.get(kind, {}))
        run(user_id)
        simulator.simulation.faults.clear()
        results[user_id] = _result(engine, user_id)

    assert results["job"] == results["full sweep"] == results["pipeline"]
    recorded = {"operation": results["sweep"].pop("operation"), "events": results["sweep"].pop("events")}
    assert results["sweep"].items() <= results["job"].items()
    if is_confirmed := _unchanged_syncs(engine) > 0:
        assert results["job"]["operation"][0] == "completed"
        assert results["job"]["events"] == ["sync.started", "sync.completed"]
        assert recorded["events"] == []
    else:
        assert recorded.items() <= results["job"].items()
    assert is_confirmed == (
        "portfolio.updated" not in results["job"]["events"] and results["job"]["operation"][0] == "completed"
    )
    assert violations(engine) == []


def _result(engine: Engine, user_id: str) -> dict[str, Any]:
    """All that the sync left, but times and ids."""
    stored, ended = portfolio(engine, user_id), operation(engine, user_id)
    with engine.connect() as connection:
        opened = sorted((row.key, row.state, row.failure_count, row.cause) for row in breakers(connection))
    return {
        "operation": (ended.status, ended.error_code, ended.tokens_synced, ended.chains_synced, ended.total_value_usd),
        "positions": [
            (p.chain_id, p.token, p.balance, p.price_usd, p.price_source, p.value_usd, p.flags, p.is_spam, p.stale)
            for p in stored.positions
        ],
        "totals": stored.totals,
        "version": stored.version,
        "explained": _explained(engine, user_id),
        "chains": [(chain.chain_id, chain.status) for chain in stored.chains],
        "events": event_types(engine, user_id)[3:],
        "breakers": opened,
    }


def _explained(engine: Engine, user_id: str) -> Any:
    """What a reader is told of each position, but times and ids."""
    with engine.connect() as connection:
        found = read_explanation(connection, user_id)
    assert found is not None
    return [
        (
            p["chainId"],
            p["tokenAddress"],
            p["balance"],
            p["valueUsd"],
            p["isCounted"],
            p["notCountedReason"],
            p["flags"],
        )
        for p in found["positions"]
    ]


def _unchanged_syncs(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM unchanged_syncs").scalar_one()


def _execute(engine: Engine, sql: str, *parameters: object) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, parameters)
