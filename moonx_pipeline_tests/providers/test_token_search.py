"""Listed tokens are found on real EVM nodes, in few calls, whatever single contracts do."""

from __future__ import annotations

from typing import Any

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.providers.balance_code import assembled
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.evm_world import EvmToken, EvmWorld
from moonx_pipeline_tests.support.node_proxy import Forward, brings_code, node_error, node_proxy

BALANCE, REVERT, NOTHING, TOO_SHORT, OUT_OF_GAS = range(5)
NOBODY = [f"0x{number:040x}" for number in range(0x1000, 0x1000 + 3000)]


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(30)


def test_every_listed_token_that_is_held_is_found_at_the_block_of_the_rest(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, tokens = evm_world.wallets[0], evm_world.tokens[1]
    most = 2**256 - 1
    huge = evm_world.deploy(1, EvmToken("StandardToken", ("string", "string", "uint8"), ("Most", "MOST", 18), (most,)))
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)

    reading = node.balances(
        wallet, [tokens["usdc"]], scope, listed=[*NOBODY[:1500], *tokens.values(), huge, *NOBODY[1500:]]
    )

    own = {token: evm_world.balance(1, token, wallet) for token in (NATIVE_TOKEN, *tokens.values(), huge)}
    assert reading.outcome is ChainOutcome.OK
    assert reading.balances == {token: held for token, held in own.items() if held or token == NATIVE_TOKEN}
    assert reading.balances[huge] == most
    assert (reading.unknown, reading.without_balance) == (set(), set())
    assert reading.block == int(evm_world.chains[1].rpc("eth_blockNumber"), 16)
    assert f"only the {3000 + len(tokens) + 1} that lists name are seen" in (reading.reason or "")
    assert [call.outcome for call in scope.calls] == ["ok"] * 3  # block, balances, search


@pytest.mark.parametrize("answer", [REVERT, NOTHING, TOO_SHORT, OUT_OF_GAS])
def test_a_contract_that_answers_nothing_right_costs_no_other_its_place(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, answer: int
) -> None:
    wallet, fickle, points = evm_world.wallets[0], evm_world.tokens[1]["fickle"], evm_world.tokens[1]["points"]
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)
    assert node.balances(wallet, [], scope, listed=[fickle, points]).balances[fickle] == 3 * 10**18
    evm_world.chains[1].send(wallet, fickle, "setAnswer(uint8,string)", [answer, "header not found"])

    reading = node.balances(wallet, [], scope, listed=[fickle, *NOBODY[:40], points])

    assert reading.balances == {NATIVE_TOKEN: evm_world.balance(1, NATIVE_TOKEN, wallet), points: 4_200}


def test_hundreds_of_contracts_that_burn_their_gas_only_make_more_calls(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, points = evm_world.wallets[0], evm_world.tokens[1]["points"]
    chain = evm_world.chains[1]
    burners = NOBODY[:400]
    for address in burners:
        chain.rpc("anvil_setCode", address, "0x5b600056")  # a loop without end
    node = EvmNode(1, chain.url, http=rpc)

    reading = node.balances(wallet, [], scope, listed=[*burners, points])

    assert reading.balances[points] == 4_200
    assert 3 < len(scope.calls) < 12
    assert {call.outcome for call in scope.calls} == {"ok"}


@pytest.mark.parametrize("kind", ["refuses", "ignores"])
def test_a_node_that_takes_no_code_is_read_as_before_and_not_asked_again(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, kind: str
) -> None:
    wallet, tokens = evm_world.wallets[0], evm_world.tokens[1]
    searches = []

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        if not brings_code(call):
            return 200, forward(call)
        searches.append(call)
        if kind == "refuses":
            return node_error(call, -32602, "too many arguments, want at most 2")
        return 200, forward({**call, "params": call["params"][:2]})

    with node_proxy(evm_world.chains[1].url, rule) as url:
        node = EvmNode(1, url, http=rpc)
        reading = node.balances(wallet, [tokens["usdc"]], scope, listed=[*tokens.values()])
        assert len(searches) == 1
        again = node.balances(wallet, [tokens["usdc"]], scope, listed=[*tokens.values()])

    assert again == reading
    assert len(searches) == 1
    assert reading.balances.keys() == {NATIVE_TOKEN, tokens["usdc"]}
    assert "does not run code" in (reading.reason or "")


def test_a_node_that_refuses_large_calls_is_asked_in_smaller_ones(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, points = evm_world.wallets[0], evm_world.tokens[1]["points"]

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        if brings_code(call) and len(call["params"][0]["data"]) > 2 + 80 * 300:
            return node_error(call, -32000, "out of gas")
        return 200, forward(call)

    with node_proxy(evm_world.chains[1].url, rule) as url:
        node = EvmNode(1, url, http=rpc)
        assert node.balances(wallet, [], scope, listed=[*NOBODY[:900], points]).balances[points] == 4_200
        scope.calls.clear()
        assert node.balances(wallet, [], scope, listed=[*NOBODY[:200], points]).balances[points] == 4_200
    assert len(scope.calls) == 3  # the size is remembered


def test_a_search_that_fails_costs_nothing_but_itself(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    wallet, tokens = evm_world.wallets[0], evm_world.tokens[1]

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        return node_error(call, -32000, "execution timeout") if brings_code(call) else (200, forward(call))

    with node_proxy(evm_world.chains[1].url, rule) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, [tokens["usdc"]], scope, listed=[*tokens.values()])

    assert reading.outcome is ChainOutcome.OK
    assert reading.balances.keys() == {NATIVE_TOKEN, tokens["usdc"]}
    assert "the search for them failed: The node of chain 1 refused" in (reading.reason or "")


def test_an_assembly_is_numbers_opcodes_and_labels() -> None:
    assert assembled("start: JUMPDEST 0x01 ; one\n 0x0102 ADD :start JUMP").hex() == "5b600161010201600056"
