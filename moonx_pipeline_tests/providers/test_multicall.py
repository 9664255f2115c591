"""A node that runs no code that it is given reads in bulk through Multicall3, whatever single contracts do."""

from __future__ import annotations

from typing import Any

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.providers.balance_code import Question
from moonx_pipeline.providers.errors import PartsRefused
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.multicall import CONTRACTS_A_CALL, MULTICALL
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.transfer_logs import NotOffered
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_world import EvmWorld
from moonx_pipeline_tests.support.bulk_reading import bulk_reader
from moonx_pipeline_tests.support.multicall3 import deploy_multicall3
from moonx_pipeline_tests.support.node_proxy import Forward, Rule, brings_code, node_error, node_proxy
from moonx_pipeline_tests.support.odd_contracts import (
    BURNS,
    COUNTS_BLOCKS,
    INVALID,
    UNDERFLOWS,
    answering_by,
    put_answering,
    put_code,
)

ANYBODY = [f"0x{number:040x}" for number in range(0x1000, 0x1000 + CONTRACTS_A_CALL)]


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(60)


@pytest.fixture
def chain(evm_world: EvmWorld) -> EvmChain:
    chain = evm_world.chains[1]
    deploy_multicall3(chain)
    return chain


def without_override(then: Rule | None = None) -> Rule:
    """A node that takes two parameters of ``eth_call``, and does what a rule says with the others."""

    def rule(call: Any, forward: Forward) -> Any:
        if brings_code(call):
            return node_error(call, -32602, "too many arguments, want at most 2")
        return then(call, forward) if then else (200, forward(call))

    return rule


def is_multicall(call: Any) -> bool:
    return isinstance(call, dict) and call["method"] == "eth_call" and call["params"][0]["to"] == MULTICALL


def test_native_coins_tokens_and_questions_are_read_at_one_block_without_code(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    tokens = [NATIVE_TOKEN, *evm_world.tokens[1].values()]
    pairs = [(wallet, token) for wallet in (*evm_world.wallets, *ANYBODY[:20]) for token in tokens]
    questions = [
        Question(put_code(chain, 1, answering_by({"38d52e0f": 7})), selector) for selector in ("38d52e0f", "07a2d13a")
    ]

    with node_proxy(chain.url, without_override()) as url:
        bulk = bulk_reader(url, rpc)
        reading = bulk.read(pairs, scope, questions=questions)
        again = bulk.read(pairs, scope, questions=questions)

    assert reading.balances == {(wallet, token): evm_world.balance(1, token, wallet) for wallet, token in pairs}
    assert reading.block == int(chain.rpc("eth_blockNumber"), 16)
    assert (reading.refused, reading.unread) == (set(), set())
    assert reading.answers == {questions[0]: 7, questions[1]: None}
    assert again == reading
    assert len(scope.calls) == 3, "that it takes no code is learnt"


def test_contracts_that_answer_oddly_are_told_apart_without_code(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, usdc = evm_world.wallets[0], evm_world.tokens[1]["usdc"]
    good, bad = put_answering(chain)
    broken = [put_code(chain, 21, INVALID), put_code(chain, 22, UNDERFLOWS)]
    burner = put_code(chain, 20, BURNS)

    with node_proxy(chain.url, without_override()) as url:
        asked = [(wallet, token) for token in (NATIVE_TOKEN, *bad, *broken, burner, *good, usdc)]
        reading = bulk_reader(url, rpc).read(asked, scope)

    expected = {NATIVE_TOKEN: chain.balance(wallet), usdc: evm_world.balance(1, usdc, wallet), **good}
    assert {token: balance for (_, token), balance in reading.balances.items()} == expected
    assert {token for _, token in reading.refused} == {*bad, *broken}
    assert {token for _, token in reading.unread} == {burner}


@pytest.mark.parametrize("place", [0, 1, 500, 999])
def test_the_offender_among_a_thousand_is_isolated_and_not_asked_again(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope, place: int
) -> None:
    wallet, usdc, burner = evm_world.wallets[0], evm_world.tokens[1]["usdc"], put_code(chain, 20, BURNS)
    pairs = [(one, usdc) for one in (*ANYBODY[: CONTRACTS_A_CALL - 2], wallet)]
    pairs.insert(place, (wallet, burner))

    with node_proxy(chain.url, without_override()) as url:
        bulk = bulk_reader(url, rpc)
        reading = bulk.read(pairs, scope)
        first = len(scope.calls)
        scope.calls.clear()
        again = bulk.read(pairs, scope)

    for one in (reading, again):
        assert one.unread == {(wallet, burner)}
        assert one.refused == set()
        assert one.balances == {
            (w, usdc): evm_world.balance(1, usdc, wallet) if w == wallet else 0 for w, t in pairs if t == usdc
        }
    assert first < 25
    assert len(scope.calls) == 1


def test_more_than_one_call_takes_are_read_at_the_block_of_the_first_without_code(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, counting = evm_world.wallets[0], put_code(chain, 30, COUNTS_BLOCKS)

    def then(call: Any, forward: Forward) -> tuple[int, Any]:
        answer = forward(call)
        chain.send(wallet, ANYBODY[0], wei=1)  # a block after each call
        return 200, answer

    with node_proxy(chain.url, without_override(then)) as url:
        reading = bulk_reader(url, rpc).read([(one, counting) for one in (*ANYBODY, *evm_world.wallets)], scope)

    assert set(reading.balances.values()) == {reading.block}
    assert len(reading.balances) == CONTRACTS_A_CALL + 2


def test_a_refusal_of_large_calls_is_no_contracts_fault_and_their_size_is_learnt(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet = evm_world.wallets[0]

    def then(call: Any, forward: Forward) -> tuple[int, Any]:
        large = is_multicall(call) and len(call["params"][0]["data"]) > 150_000
        return node_error(call, -32000, "out of gas") if large else (200, forward(call))

    with node_proxy(chain.url, without_override(then)) as url:
        bulk = bulk_reader(url, rpc)
        pairs = [(one, NATIVE_TOKEN) for one in (*ANYBODY[:900], wallet)]
        for _ in range(3):
            scope.calls.clear()
            reading = bulk.read(pairs, scope)
            assert reading.balances == {
                (one, NATIVE_TOKEN): chain.balance(one) for one, _ in pairs[-1:]
            } | dict.fromkeys(pairs[:-1], 0)
            assert not reading.unread
            assert not reading.refused
    assert {call.outcome for call in scope.calls} == {"ok"}
    assert len(scope.calls) <= 5  # the size is remembered


def test_halves_that_a_node_fails_are_unread_and_never_a_contracts_refusal(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    usdc, burner = evm_world.tokens[1]["usdc"], put_code(chain, 20, BURNS)
    calls: list[Any] = []

    def then(call: Any, forward: Forward) -> tuple[int, Any]:
        calls.append(call)
        return (503, "away") if len(calls) % 2 == 0 and len(calls) > 2 else (200, forward(call))

    with node_proxy(chain.url, without_override(then)) as url:
        reading = bulk_reader(url, rpc).read([*((one, usdc) for one in ANYBODY[:400]), (ANYBODY[0], burner)], scope)

    assert reading.refused == set()
    assert set(reading.balances.values()) <= {0}
    assert reading.unread
    assert len(reading.unread) + len(reading.balances) == 401


@pytest.mark.parametrize("message", ["header not found", "missing trie node"])
def test_a_node_without_the_block_raises_and_reads_nothing(
    chain: EvmChain, rpc: HttpClient, scope: CallScope, message: str
) -> None:
    rule = without_override(lambda call, _: node_error(call, -32000, message))
    with node_proxy(chain.url, rule) as url, pytest.raises(PartsRefused):
        bulk_reader(url, rpc).read([(ANYBODY[0], NATIVE_TOKEN)], scope)


def test_a_chain_without_the_contract_is_left_to_other_ways_and_that_is_learnt(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    with node_proxy(evm_world.chains[1].url, without_override()) as url:
        bulk = bulk_reader(url, rpc)
        for _ in range(2):
            with pytest.raises(NotOffered, match="no Multicall3"):
                bulk.read([(ANYBODY[0], NATIVE_TOKEN)], scope)
    assert len(scope.calls) == 2
