"""The order of the ways to read balances is that of the setting ``BALANCE_SOURCES``."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.sweeps import make_due, sweep
from moonx_pipeline_tests.support.syncs import register, sync


def ordered(engine: Engine, simulator: RunningSimulator, *ways: str) -> Runtime:
    """Clients of Alchemy and of a node for each chain, which try these ways in turn."""
    both = {**simulator.environment(), **simulator.node_environment(), **FAST, **UNLIMITED}
    return open_runtime(Settings.from_environment({**both, "BALANCE_SOURCES": ",".join(ways)}), engine)


def sources(engine: Engine) -> dict[str, set[int]]:
    """The chains by who was asked and how."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT source || ' ' || way, chain_id FROM user_chain_status").all()
    found: dict[str, set[int]] = {}
    for source, chain_id in rows:
        found.setdefault(source, set()).add(chain_id)
    return found


def test_a_node_is_asked_first_where_it_stands_first(engine: Engine, simulator: RunningSimulator) -> None:
    runtime = ordered(engine, simulator, "node", "alchemy-data", "alchemy-rpc")
    every = set(runtime.policy.chain_ids)
    register(engine, "ann", PLAIN_WALLET)

    assert sync(runtime).status == "completed"

    assert sources(engine) == {"rpc node": every}
    assert simulator.requests("alchemy balances") + simulator.requests("alchemy tokens") == 0

    simulator.fault("outage", "rpc", network="base")
    assert sync(runtime).status == "completed"

    assert sources(engine) == {"rpc node": every - {8453}, "alchemy data_api": {8453}}


def test_json_rpc_comes_before_the_data_api_where_it_stands_first(engine: Engine, simulator: RunningSimulator) -> None:
    runtime = ordered(engine, simulator, "alchemy-rpc", "alchemy-data", "node")
    every = set(runtime.policy.chain_ids)
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault(
        "call_refused", endpoint="alchemy_getTokenBalances", network="base-mainnet", params={"code": -32000}
    )

    assert sync(runtime).status == "completed"

    assert sources(engine) == {"alchemy json_rpc": every - {8453}, "alchemy data_api": {8453}}


@pytest.mark.parametrize(
    ("ways", "asked", "spared"),
    [("alchemy-bulk,node-bulk", "alchemy bulk", "rpc bulk"), ("node-bulk,alchemy-bulk", "rpc bulk", "alchemy bulk")],
)
def test_a_sweep_reads_in_bulk_from_who_stands_first(
    ways: str, asked: str, spared: str, engine: Engine, simulator: RunningSimulator
) -> None:
    runtime = ordered(engine, simulator, ways, "alchemy-data")
    for number, user in enumerate(("ann", "bob", "cid", "dan")):
        register(engine, user, f"0x{number:040x}" if number else PLAIN_WALLET)
    sweep(runtime)
    make_due(engine)

    sweep(runtime)

    assert sources(engine)[asked] == set(runtime.policy.chain_ids)
    assert spared not in sources(engine)


@pytest.mark.parametrize("ways", ["node,alchemy-bulk", "node,node", "gateway", "alchemy-data,node-bulk"])
def test_an_order_that_means_nothing_is_refused(ways: str) -> None:
    with pytest.raises((OperatorError, ValidationError), match="BALANCE_SOURCES"):
        Settings.from_environment({"BALANCE_SOURCES": ways})
