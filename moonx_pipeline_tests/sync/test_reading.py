"""What was not read is asked again by another way, or told: it is never taken for nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import CHAIN_BY_ID, DEFAULT_CHAINS, NATIVE_TOKEN
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import MIRROR_WALLET, PLAIN_WALLET, initial_holdings
from moonx_pipeline.storage.protection.breaker_rows import breakers
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.syncs import held, portfolio, register, sync, violations

LINK = next(token for (chain_id, _), token in TOKENS.items() if (chain_id, token.symbol) == (1, "LINK"))
SLUGS = {"arb-mainnet": "arbitrum", "polygon-mainnet": "polygon", "eth-mainnet": "ethereum"}
CHAIN_IDS = {"arb-mainnet": 42161, "polygon-mainnet": 137, "eth-mainnet": 1}

EVERYTHING = {
    (chain_id, holding.token.address): holding.balance
    for chain_id, holdings in initial_holdings(PLAIN_WALLET).items()
    for holding in holdings
}


def sources_with(engine: Engine, simulator: RunningSimulator, **more: str) -> Runtime:
    return open_runtime(Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED, **more}), engine)


def without_alchemy(engine: Engine, simulator: RunningSimulator, *slugs: str) -> Runtime:
    environment = {name: value for name, value in simulator.environment().items() if name != "ALCHEMY_API_KEY"}
    return open_runtime(
        Settings.from_environment({**environment, **FAST, **UNLIMITED, **simulator.node_environment(*slugs)}), engine
    )


def refuse_contracts(simulator: RunningSimulator) -> None:
    """Lets nobody ask contracts themselves."""
    simulator.fault("outage", endpoint="eth_call")


def chain_status(engine: Engine, chain_id: int) -> Any:
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM user_chain_status WHERE chain_id = %s", (chain_id,)).one()


def open_breakers(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row.key for row in breakers(connection)]


# A network that is left out of an answer.


@pytest.mark.parametrize("network", CHAIN_IDS)
@pytest.mark.parametrize("is_first", [True, False], ids=["first reading", "later reading"])
def test_a_network_that_is_left_out_without_a_word_is_read_by_json_rpc(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, network: str, is_first: bool
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    if not is_first:
        sync(runtime)
    simulator.fault("silent_network", network=network)

    assert sync(runtime).status == "completed"

    assert held(engine) == EVERYTHING
    stored = portfolio(engine)
    assert stored.totals.complete
    assert {chain.status for chain in stored.chains} == {"fresh"}
    assert open_breakers(engine) == []


@pytest.mark.parametrize("network", CHAIN_IDS)
def test_a_network_left_out_and_not_read_by_any_way_is_stale_with_its_reason(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, network: str
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("silent_network", network=network)
    simulator.fault("outage", network=network, endpoint="eth_getBalance")

    assert sync(runtime).status == "partial"

    assert held(engine) == EVERYTHING
    stored = portfolio(engine)
    assert stored.totals.stale_chains == (CHAIN_IDS[network],)
    error = chain_status(engine, CHAIN_IDS[network]).error
    assert "native coin" in error
    assert "Then: alchemy refused with status 503" in error
    assert violations(engine) == []


def not_enabled(name: str) -> dict[str, Any]:
    message = f"{name} is not enabled for this app. Visit this page to enable the network: https://dashboard.example"
    return {"status": 403, "body": json.dumps({"error": {"message": message}})}


@pytest.mark.parametrize("network", CHAIN_IDS)
@pytest.mark.parametrize("is_named", [True, False], ids=["named", "not named"])
def test_a_network_that_the_key_does_not_have_costs_no_other(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, network: str, is_named: bool
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    name = network.upper().replace("-", "_") if is_named else "A network"
    simulator.fault("status", "alchemy", network=network, params=not_enabled(name))

    assert [sync(runtime).status for _ in range(2)] == ["partial", "partial"]

    missing = CHAIN_IDS[network]
    assert held(engine) == {key: balance for key, balance in EVERYTHING.items() if key[0] != missing}
    assert portfolio(engine).totals.stale_chains == (missing,)
    assert "not enabled for this app" in chain_status(engine, missing).error
    assert open_breakers(engine) == [f"alchemy:{missing}"]
    assert violations(engine) == []


@pytest.mark.parametrize("network", CHAIN_IDS)
def test_a_node_reads_a_network_that_alchemy_leaves_out(
    engine: Engine, simulator: RunningSimulator, network: str
) -> None:
    runtime = sources_with(engine, simulator, **simulator.node_environment(SLUGS[network]))
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("silent_network", network=network)
    simulator.fault("outage", network=network, endpoint="eth_getBalance")

    assert sync(runtime).status == "completed"

    assert held(engine) == EVERYTHING
    assert chain_status(engine, CHAIN_IDS[network]).coverage == "known_tokens"


# A token whose balance is in no answer.

UNREAD = [
    {"tokenBalance": None, "error": "execution timeout"},
    {"tokenBalance": "0x"},
    {"tokenBalance": "0x" + "f" * 70},
]
REVERTED = {"tokenBalance": None, "error": "execution reverted"}


@pytest.mark.parametrize("fault", ["token_error", "0x_balance"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first reading", "later reading"])
def test_a_token_that_a_list_did_not_read_is_asked_for_by_its_contract(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, fault: str, is_first: bool
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    if not is_first:
        sync(runtime)
    for endpoint in ("tokens/by-address", "balances/by-address"):
        simulator.fault(fault, endpoint=endpoint, params={"token": LINK.address})

    assert sync(runtime).status == "completed"

    assert held(engine) == EVERYTHING
    assert (portfolio(engine).totals.unread, portfolio(engine).totals.complete) == (0, True)
    assert not any(position.flags for position in portfolio(engine).positions if position.token == LINK.address)


@pytest.mark.parametrize("row", UNREAD)
def test_a_token_that_no_list_reads_is_asked_of_its_contract(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, row: dict[str, Any]
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, **row)

    assert sync(runtime).status == "completed"

    assert held(engine) == EVERYTHING
    assert (portfolio(engine).totals.unread, portfolio(engine).totals.complete) == (0, True)


def test_a_contract_that_was_destroyed_leaves_nothing_unread(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.destroy(LINK)

    for _ in range(2):
        assert sync(runtime).status == "completed"

        assert held(engine) == {key: balance for key, balance in EVERYTHING.items() if key != (1, LINK.address)}
        assert (portfolio(engine).totals.unread, portfolio(engine).totals.complete) == (0, True)


@pytest.mark.parametrize("row", UNREAD)
def test_a_token_never_read_and_unknown_is_left_out_by_count_until_it_is_read(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, row: dict[str, Any]
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, **row)
    refuse_contracts(simulator)

    first = sync(runtime)

    assert first.status == "completed"
    assert held(engine) == {key: balance for key, balance in EVERYTHING.items() if key != (1, LINK.address)}
    stored = portfolio(engine)
    assert (stored.totals.unread, stored.totals.complete, stored.totals.stale_chains) == (1, False, ())
    assert {chain.chain_id: chain.unread for chain in stored.chains if chain.unread} == {1: 1}

    simulator.simulation.world.set_row(PLAIN_WALLET, LINK)
    second = sync(runtime)

    assert (second.changed, held(engine)) == (True, EVERYTHING)
    assert portfolio(engine).totals.complete


def test_a_token_that_is_read_as_nothing_at_last_is_a_change_that_is_told(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, tokenBalance="0x")
    refuse_contracts(simulator)
    sync(runtime)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, tokenBalance="0x0")

    outcome = sync(runtime)

    # No position changed, yet the total is complete now.
    assert (outcome.changed, outcome.version, outcome.rows.inserted) == (True, 2, 0)
    assert portfolio(engine).totals.complete


@pytest.mark.parametrize("row", [*UNREAD, REVERTED])
def test_a_token_that_nobody_read_keeps_its_last_balance_and_says_so(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, row: dict[str, Any]
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, **row)
    refuse_contracts(simulator)

    assert sync(runtime).status == "completed"

    assert held(engine) == EVERYTHING
    stored = portfolio(engine)
    assert [p.token for p in stored.positions if "balance_unknown" in p.flags] == [LINK.address]
    assert (stored.totals.unread, stored.totals.complete) == (0, True)


def test_a_contract_that_gives_nobody_a_balance_leaves_nothing_out(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, **REVERTED)

    sync(runtime)

    assert (1, LINK.address) not in held(engine)
    assert (portfolio(engine).totals.unread, portfolio(engine).totals.complete) == (0, True)


@pytest.mark.parametrize("row", [*UNREAD, REVERTED])
def test_a_node_has_the_balance_that_alchemy_has_not(
    engine: Engine, simulator: RunningSimulator, row: dict[str, Any]
) -> None:
    runtime = sources_with(engine, simulator, **simulator.node_environment("ethereum"))
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, **row)

    sync(runtime)

    assert held(engine) == EVERYTHING
    assert portfolio(engine).totals.complete
    # Ethereum is Alchemy's reading all the same: every token is seen.
    assert chain_status(engine, 1).coverage == "all_tokens"


def test_a_way_that_is_away_leaves_the_good_reading_as_it_is(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.simulation.world.set_row(PLAIN_WALLET, LINK, tokenBalance="0x")
    simulator.fault("outage", endpoint="alchemy_getTokenBalances")
    simulator.fault("outage", endpoint="eth_call")

    assert sync(runtime).status == "completed"

    assert portfolio(engine).totals.unread == 1
    assert {chain.status for chain in portfolio(engine).chains} == {"fresh"}


# A row that is missing in a list.


def test_a_held_token_that_a_list_leaves_out_is_asked_for(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("missing_row", params={"token": LINK.address})

    assert sync(runtime).status == "completed"

    assert held(engine) == EVERYTHING
    assert not any(position.flags for position in portfolio(engine).positions if position.token == LINK.address)
    assert portfolio(engine).totals.complete
    assert simulator.requests("alchemy alchemy_getTokenBalances") == 1


def test_a_held_token_that_is_left_out_and_sold_is_gone(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("missing_row", params={"token": LINK.address})
    simulator.simulation.world.set_balance(PLAIN_WALLET, LINK, 0)

    for _ in range(2):
        sync(runtime)

        assert held(engine) == {key: balance for key, balance in EVERYTHING.items() if key != (1, LINK.address)}
        assert portfolio(engine).totals.complete
        assert simulator.requests("alchemy alchemy_getTokenBalances") == 1  # only while it was known as held


# Nodes.

RATE_CODES = [-32005, -32007, -32016, -32029, -32046, -32090, 15, 429]


@pytest.mark.parametrize("code", RATE_CODES)
def test_calls_that_a_node_refuses_for_the_rate_are_asked_again(
    engine: Engine, simulator: RunningSimulator, code: int
) -> None:
    runtime = without_alchemy(engine, simulator, "ethereum")
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("call_refused", "rpc", params={"code": code, "message": "later", "after": 2})

    sync(runtime)

    listed = {key for key, token in TOKENS.items() if token.listed}
    assert held(engine) == {key: b for key, b in EVERYTHING.items() if key[0] == 1 and key in listed}
    assert chain_status(engine, 1).unread == 0


@pytest.mark.slow
@pytest.mark.parametrize("code", RATE_CODES)
def test_a_node_that_refuses_all_for_the_rate_fails_its_chain_with_that_reason(
    engine: Engine, simulator: RunningSimulator, code: int
) -> None:
    runtime = without_alchemy(engine, simulator, "ethereum")
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("call_refused", "rpc", params={"code": code, "message": "later", "method": "eth_call"})

    assert sync(runtime).status == "failed"

    assert f"({code})" in chain_status(engine, 1).error
    assert chain_status(engine, 1).status == "never"
    assert open_breakers(engine) == []  # a limit is no outage


@pytest.mark.parametrize("code", [-32603, -32000, -32002])
def test_a_token_that_a_node_can_not_do_is_unread_and_costs_no_other(
    engine: Engine, simulator: RunningSimulator, code: int
) -> None:
    runtime = without_alchemy(engine, simulator, "ethereum")
    register(engine, "ann", PLAIN_WALLET)
    params = {"code": code, "message": "execution timeout", "token": LINK.address}
    simulator.fault("call_refused", "rpc", params=params)

    sync(runtime)

    assert held(engine)[1, NATIVE_TOKEN] == EVERYTHING[1, NATIVE_TOKEN]
    assert (1, LINK.address) not in held(engine)
    assert chain_status(engine, 1).unread == 1
    assert portfolio(engine).totals.unread == 1


# A source that is behind.


@pytest.mark.parametrize("by_node", [True, False], ids=["node", "alchemy"])
def test_an_older_block_undoes_nothing_that_a_later_one_said(
    engine: Engine, simulator: RunningSimulator, by_node: bool
) -> None:
    runtime = without_alchemy(engine, simulator, "base") if by_node else sources_with(engine, simulator)
    world, unsafe = simulator.simulation.world, CHAIN_BY_ID[8453].unsafe_blocks
    ether = next(one.token for one in world.holdings(PLAIN_WALLET, 8453) if one.token.is_native)
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    before = held(engine)
    simulator.fault("outage", network="base-mainnet", endpoint="eth_getBalance")
    world.set_balance(PLAIN_WALLET, ether, 1)
    newest = world.blocks[8453] - 1
    world.blocks[8453] = newest - unsafe - 1

    sync(runtime)

    assert held(engine) == before
    base = chain_status(engine, 8453)
    assert (base.status, base.error_code, base.block) == ("stale", "unavailable", newest)
    assert f"block {newest - unsafe - 1} of Base, and block {newest} was read before" in base.error

    world.blocks[8453] = newest - unsafe  # as after a reorganisation
    sync(runtime)

    assert held(engine) == {**before, (8453, NATIVE_TOKEN): 1}
    assert chain_status(engine, 8453).status == "fresh"


def test_a_chain_that_begins_anew_is_read_again_within_an_hour(engine: Engine, simulator: RunningSimulator) -> None:
    runtime, blocks = without_alchemy(engine, simulator, "base"), simulator.simulation.world.blocks
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    blocks[8453] = 5
    sync(runtime)
    assert chain_status(engine, 8453).status == "stale"
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_chain_status SET last_success_at = last_success_at - interval '1 hour'")

    sync(runtime)

    assert (chain_status(engine, 8453).status, chain_status(engine, 8453).block) == ("fresh", 5)


# What else is known of a reading.


def test_second_faces_of_native_coins_are_counted_once_by_every_way(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", MIRROR_WALLET)
    mirrors = {
        (chain_id, holding.token.address)
        for chain_id, holdings in initial_holdings(MIRROR_WALLET).items()
        for holding in holdings
    } - {(137, NATIVE_TOKEN), (10, NATIVE_TOKEN)}
    assert mirrors

    sync(runtime)
    by_list = held(engine)
    simulator.fault("outage", endpoint="balances/by-address")
    sync(runtime)

    assert by_list.keys() == held(engine).keys() == {(137, NATIVE_TOKEN), (10, NATIVE_TOKEN)}


def test_the_block_of_a_reading_is_kept_until_the_next_good_one(engine: Engine, simulator: RunningSimulator) -> None:
    runtime = sources_with(engine, simulator, **simulator.node_environment("polygon"))
    register(engine, "ann", PLAIN_WALLET)
    blocks = simulator.simulation.world.blocks
    sync(runtime)
    read = [chain.id for chain in DEFAULT_CHAINS]
    assert {chain_id: chain_status(engine, chain_id).block for chain_id in read} == {c: blocks[c] for c in read}
    before = blocks[1]

    simulator.fault("partial_error", network="eth-mainnet")
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", endpoint="eth_getBalance")
    for chain_id in blocks:
        blocks[chain_id] += 5
    sync(runtime)

    assert chain_status(engine, 1).block == before  # not read now
    assert chain_status(engine, 137).block == blocks[137]  # by the node
    assert chain_status(engine, 10).block == blocks[10]


# Content is not health.


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        ("three_word_balance", {"token": LINK.address}),
        ("0x_balance", {}),
        ("0x_balance", {"token": LINK.address}),
        ("token_error", {"token": LINK.address}),
        ("odd_decimals", {}),
        ("lone_surrogate", {}),
        ("endless_page_key", {}),
        ("missing_page", {}),
    ],
)
def test_what_a_wallet_holds_never_keeps_others_from_being_read(
    engine: Engine, simulator: RunningSimulator, fault: str, params: dict[str, Any]
) -> None:
    runtime = sources_with(engine, simulator, WORKER_CIRCUIT_BREAKER_THRESHOLD="1")
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault(fault, wallet=PLAIN_WALLET, params=params)

    for _ in range(2):
        assert sync(runtime).status == "completed"

    assert open_breakers(engine) == []
    assert held(engine)[1, NATIVE_TOKEN] == EVERYTHING[1, NATIVE_TOKEN]


def test_an_answer_that_is_larger_than_allowed_is_read_in_parts_and_no_outage(
    engine: Engine, simulator: RunningSimulator
) -> None:
    limits = {"PROVIDER_MAX_BODY_BYTES": "4000", "WORKER_CIRCUIT_BREAKER_THRESHOLD": "1"}
    runtime = sources_with(engine, simulator, **limits)
    register(engine, "ann", PLAIN_WALLET)

    sync(runtime)

    assert "alchemy:data" not in open_breakers(engine)
    assert held(engine) == EVERYTHING


def test_a_name_with_half_a_character_is_stored_without_it(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("lone_surrogate", params={"token": LINK.address})

    sync(runtime)

    (link,) = [position for position in portfolio(engine).positions if position.token == LINK.address]
    assert (link.decimals, link.amount) == (18, Decimal(60))
    assert held(engine) == EVERYTHING
