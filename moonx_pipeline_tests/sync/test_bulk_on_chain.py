"""Sweeps in bulk on a real chain: after whatever moved, every stored balance is what the chain itself says."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_world import EvmToken, EvmWorld
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.support.node_proxy import Forward, Rule, node_error, node_proxy
from moonx_pipeline_tests.support.odd_contracts import BURNS, COUNTS_BLOCKS, NO_CODE, REVERTS
from moonx_pipeline_tests.support.own_node import held_on_chain, node_settings
from moonx_pipeline_tests.support.sweeps import make_due, sweep, wallet
from moonx_pipeline_tests.support.syncs import held, register, violations

USERS, ROUNDS, MOVES = 120, 6, 25
STRINGS = ("string", "string", "uint8")
ETHEREUM = 1
_MINT = "0x40c10f19"  # mint(address,uint256)


@pytest.fixture
def chain(evm_world: EvmWorld) -> EvmChain:
    return evm_world.chains[ETHEREUM]


@pytest.fixture
def tokens(evm_world: EvmWorld) -> list[str]:
    made = [EvmToken("StandardToken", STRINGS, (f"Token {n}", f"T{n}", 6)) for n in range(5)]
    return [evm_world.deploy(ETHEREUM, token) for token in made]


def on_chain(chain: EvmChain, wallets: Sequence[str], tokens: Sequence[str]) -> dict[str, dict[tuple[int, str], int]]:
    """What each wallet holds by the chain's own answers."""
    holdings: dict[str, dict[tuple[int, str], int]] = {one: {} for one in wallets}
    for (one, token), balance in held_on_chain(chain, wallets, tokens).items():
        holdings[one][ETHEREUM, token] = balance
    return holdings


def ways(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.exec_driver_sql("SELECT DISTINCT way FROM user_chain_status").scalars())


def again(runtime: Runtime) -> None:
    make_due(runtime.db.engine)
    report = sweep(runtime)
    assert set(report.statuses) == {"completed"}, report.problems


def test_random_movements_of_many_users_end_as_on_the_chain_at_every_block(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld, chain: EvmChain, tokens: list[str]
) -> None:
    luck = random.Random(17)  # noqa: S311 - no secret
    wallets = [wallet(number) for number in range(USERS)]
    for number, address in enumerate(wallets):
        register(engine, f"user{number:03}", address)
        chain.rpc("anvil_setBalance", address, hex(10**19))
        chain.rpc("anvil_impersonateAccount", address)
    runtime = open_runtime(node_settings(simulator, chain.url), engine)
    sweep(runtime)
    assert ways(engine) == {"node"}
    payer = chain.accounts()[0]

    for _ in range(ROUNDS):
        for _ in range(MOVES):
            one, other = luck.sample(wallets, 2)
            token = luck.choice([*tokens, NATIVE_TOKEN])
            balance = evm_world.balance(ETHEREUM, token, one)
            if token == NATIVE_TOKEN:
                chain.send(one, other, wei=luck.randint(1, 10**15))
            elif balance and luck.random() < 0.7:
                amount = balance if luck.random() < 0.5 else luck.randint(1, balance)
                chain.send(one, token, "transfer(address,uint256)", [other, amount])
            else:
                chain.send(payer, token, "mint(address,uint256)", [one, luck.randint(1, 10**9)])
        again(runtime)
        expected = on_chain(chain, wallets, tokens)
        assert {one: held(engine, f"user{n:03}") for n, one in enumerate(wallets)} == expected
    assert ways(engine) == {"bulk"}
    assert violations(engine) == []


def test_a_reorganisation_takes_back_what_it_undid_and_finds_what_it_moved(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld, chain: EvmChain, tokens: list[str]
) -> None:
    payer, (undone, moved, late) = chain.accounts()[0], tokens[:3]
    ann = wallet(1)
    register(engine, "ann", ann)
    runtime = open_runtime(node_settings(simulator, chain.url), engine)
    sweep(runtime)
    chain.send(payer, undone, "mint(address,uint256)", [ann, 5])
    chain.send(payer, moved, "mint(address,uint256)", [ann, 6])
    again(runtime)
    assert held(engine, "ann") == {(ETHEREUM, undone): 5, (ETHEREUM, moved): 6}

    # As many blocks as before: what the other branch moved is in a block that was looked at already.
    minted = {"from": payer, "to": late, "data": f"{_MINT}{ann[2:]:0>64}{8:064x}"}
    chain.rpc("anvil_reorg", 2, [[minted, 0]])
    chain.send(payer, moved, "mint(address,uint256)", [ann, 7])
    again(runtime)

    assert held(engine, "ann") == on_chain(chain, [ann], tokens)[ann]
    assert (ETHEREUM, undone) not in held(engine, "ann")
    assert held(engine, "ann")[ETHEREUM, late] == 8


def test_tokens_that_begin_to_fail_keep_their_last_balance_and_others_are_exact(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld, chain: EvmChain, tokens: list[str]
) -> None:
    payer, ann = chain.accounts()[0], wallet(1)
    register(engine, "ann", ann)
    runtime = open_runtime(node_settings(simulator, chain.url), engine)
    sweep(runtime)
    for amount, token in enumerate(tokens, 5):
        chain.send(payer, token, "mint(address,uint256)", [ann, amount])
    again(runtime)
    for token, code in zip(tokens, (BURNS, REVERTS, NO_CODE, COUNTS_BLOCKS), strict=False):
        chain.rpc("anvil_setCode", token, code)
    chain.rpc("anvil_mine", hex(3))

    again(runtime)

    block = int(chain.rpc("eth_blockNumber"), 16)
    assert held(engine, "ann") == {(ETHEREUM, token): n for token, n in zip(tokens, (5, 6, 7, block, 9), strict=True)}
    with engine.connect() as connection:
        flagged = connection.exec_driver_sql(
            "SELECT token_address FROM user_token_holdings WHERE flags @> '{balance_unknown}'"
        )
        assert set(flagged.scalars()) == set(tokens[:3])


def with_limit(blocks: int) -> Rule:
    """A node that tells logs of so many blocks a call."""

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        if isinstance(call, dict) and call["method"] == "eth_getLogs":
            first, last = (int(call["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
            if last - first >= blocks:
                return node_error(call, -32000, f"exceed maximum block range: {blocks}")
        return 200, forward(call)

    return rule


def without_override(call: Any, forward: Forward) -> tuple[int, Any]:
    if isinstance(call, dict) and call["method"] == "eth_call" and len(call["params"]) == 3:
        return node_error(call, -32602, "too many arguments, want at most 2")
    return 200, forward(call)


def without_logs(call: Any, forward: Forward) -> tuple[int, Any]:
    if isinstance(call, dict) and call["method"] == "eth_getLogs":
        return node_error(call, -32601, "the method eth_getLogs does not exist/is not available")
    return 200, forward(call)


@pytest.mark.parametrize("blocks", [500, 2000])
def test_a_node_with_a_limit_of_blocks_finds_all_that_moved(
    engine: Engine, simulator: RunningSimulator, chain: EvmChain, tokens: list[str], blocks: int
) -> None:
    payer, ann = chain.accounts()[0], wallet(1)
    register(engine, "ann", ann)
    with node_proxy(chain.url, with_limit(blocks)) as url:
        runtime = open_runtime(node_settings(simulator, url), engine)
        sweep(runtime)
        for amount, token in enumerate(tokens, 5):
            chain.send(payer, token, "mint(address,uint256)", [ann, amount])
            chain.rpc("anvil_mine", hex(550 if amount == 5 else 5))
            again(runtime)
            assert held(engine, "ann") == on_chain(chain, [ann], tokens)[ann]
    assert ways(engine) == {"bulk"}


@pytest.mark.parametrize("rule", [without_override, without_logs, with_limit(5)], ids=["override", "logs", "range"])
def test_a_node_that_can_not_read_in_bulk_is_read_as_before(
    engine: Engine, simulator: RunningSimulator, chain: EvmChain, rule: Rule
) -> None:
    payer, wallets = chain.accounts()[0], [wallet(number) for number in range(4)]
    for number, address in enumerate(wallets):
        register(engine, f"user{number}", address)
    with node_proxy(chain.url, rule) as url:
        runtime = open_runtime(node_settings(simulator, url), engine)
        sweep(runtime)
        for address in wallets:
            chain.send(payer, address, wei=10**15)
            again(runtime)
            assert {one: held(engine, f"user{n}") for n, one in enumerate(wallets)} == on_chain(chain, wallets, [])
    assert ways(engine) == {"node"}


def test_a_node_behind_a_balancer_with_different_heads_loses_nothing_for_long(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld, chain: EvmChain, tokens: list[str]
) -> None:
    payer, ann = chain.accounts()[0], wallet(1)
    register(engine, "ann", ann)
    asked = iter(range(1_000_000))

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        """Every other call that names a block meets a node that does not have it yet."""
        names_block = isinstance(call, dict) and call["method"] in ("eth_call", "eth_getLogs")
        if names_block and "latest" not in json.dumps(call["params"]) and next(asked) % 3:
            return node_error(call, -32000, "header not found")
        return 200, forward(call)

    with node_proxy(chain.url, rule) as url:
        runtime = open_runtime(node_settings(simulator, url), engine)
        sweep(runtime)
        for amount, token in enumerate(tokens, 5):
            chain.send(payer, token, "mint(address,uint256)", [ann, amount])
            chain.rpc("anvil_mine", hex(5))
            again(runtime)
        for _ in range(6):
            again(runtime)

    assert held(engine, "ann") == on_chain(chain, [ann], tokens)[ann]


def test_a_gap_beyond_the_logs_is_closed_by_a_search_and_bulk_goes_on_after_it(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld, chain: EvmChain, tokens: list[str]
) -> None:
    payer, ann = chain.accounts()[0], wallet(1)
    register(engine, "ann", ann)

    with node_proxy(chain.url, with_limit(30)) as url:
        runtime = open_runtime(node_settings(simulator, url), engine)
        sweep(runtime)
        again(runtime)
        chain.send(payer, tokens[0], "mint(address,uint256)", [ann, 5])
        chain.rpc("anvil_mine", hex(500))
        for _ in range(3):
            again(runtime)
        assert ways(engine) == {"bulk"}
        chain.send(payer, tokens[1], "mint(address,uint256)", [ann, 6])
        again(runtime)

    assert held(engine, "ann") == {(ETHEREUM, tokens[1]): 6}  # no list names the first
    with engine.connect() as connection:
        (said,) = connection.exec_driver_sql("SELECT error FROM user_chain_status").scalars()
    assert "Other tokens are not seen" in said
