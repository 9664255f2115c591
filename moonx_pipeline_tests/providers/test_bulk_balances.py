"""Balances in bulk are what each contract itself says at the block named, whatever single contracts do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.providers.balance_code import BALANCE_OF, SELECTS, Question
from moonx_pipeline.providers.bulk_balances import PAIRS_A_CALL, BulkBalances
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.transfer_logs import NotOffered
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_world import EvmToken, EvmWorld
from moonx_pipeline_tests.support.bulk_reading import bulk_reader
from moonx_pipeline_tests.support.node_proxy import Forward, brings_code, node_error, node_proxy
from moonx_pipeline_tests.support.odd_contracts import (
    BURNS,
    COUNTS_BLOCKS,
    INVALID,
    UNDERFLOWS,
    answering_by,
    put_answering,
    put_code,
)

ANYBODY = [f"0x{number:040x}" for number in range(0x1000, 0x1000 + PAIRS_A_CALL)]
STRINGS = ("string", "string", "uint8")


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(30)


@pytest.fixture
def chain(evm_world: EvmWorld) -> EvmChain:
    return evm_world.chains[1]


def test_native_coins_and_tokens_of_many_wallets_are_read_at_one_block_in_one_call(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    tokens = [NATIVE_TOKEN, *evm_world.tokens[1].values()]
    pairs = [(wallet, token) for wallet in (*evm_world.wallets, *ANYBODY[:20]) for token in tokens]

    reading = bulk_reader(chain.url, rpc).read(pairs, scope)

    assert reading.balances == {(wallet, token): evm_world.balance(1, token, wallet) for wallet, token in pairs}
    assert reading.block == int(chain.rpc("eth_blockNumber"), 16)
    assert (reading.refused, reading.unread) == (set(), set())
    assert [call.endpoint for call in scope.calls] == ["eth_call"]


def test_contracts_that_answer_oddly_are_told_apart_and_cost_no_other_its_balance(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, usdc = evm_world.wallets[0], evm_world.tokens[1]["usdc"]
    good, bad = put_answering(chain)
    hungry = [put_code(chain, 20, BURNS), put_code(chain, 21, INVALID), put_code(chain, 22, UNDERFLOWS)]
    asked = [NATIVE_TOKEN, *bad, *hungry, *good, usdc]
    bulk = bulk_reader(chain.url, rpc)

    reading = bulk.read([(wallet, token) for token in asked], scope)

    expected = {NATIVE_TOKEN: chain.balance(wallet), usdc: evm_world.balance(1, usdc, wallet), **good}
    assert {token: balance for (_, token), balance in reading.balances.items()} == expected
    assert {token for _, token in reading.refused} == set(bad)
    assert {token for _, token in reading.unread} == set(hungry)
    sent: list[Any] = []

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        sent.append(call)
        return 200, forward(call)

    with node_proxy(chain.url, rule) as url:
        again = bulk_reader(url, rpc)
        again.read([(wallet, token) for token in asked], scope)
        again.read([(wallet, token) for token in asked], scope)
    assert hungry[0][2:] in sent[0]["params"][0]["data"]
    assert hungry[0][2:] not in sent[1]["params"][0]["data"], "who burns gas is not asked a second time"


def test_questions_beside_balances_are_answered_and_none_sets_another_function(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, usdc = evm_world.wallets[0], evm_world.tokens[1]["usdc"]
    vault = put_code(chain, 1, answering_by({"38d52e0f": 7, "07a2d13a": 8}))
    told = {Question(vault, "38d52e0f"): 7, Question(vault, "07a2d13a", 10**24): 8, Question(vault, "b16a19de"): None}
    posing = [Question(SELECTS, BALANCE_OF, 5), Question(SELECTS, "38d52e0f")]
    bulk = bulk_reader(chain.url, rpc)

    reading = bulk.read([(wallet, SELECTS), (wallet, usdc)], scope, questions=[*posing, *told])

    assert reading.balances == {(wallet, usdc): evm_world.balance(1, usdc, wallet)}
    assert reading.unread == {(wallet, SELECTS)}
    assert reading.answers == told | dict.fromkeys(posing)
    alone = bulk.read([], scope, block=reading.block, questions=posing)
    assert alone.answers == dict.fromkeys(posing)
    assert len(scope.calls) == 1


def test_a_contract_among_a_thousand_that_burns_all_gas_takes_no_other_with_it(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, usdc, burner = evm_world.wallets[0], evm_world.tokens[1]["usdc"], put_code(chain, 20, BURNS)
    pairs = [(one, usdc) for one in (*ANYBODY[:500], wallet, *ANYBODY[500:1000])]
    pairs.insert(1, (wallet, burner))

    reading = bulk_reader(chain.url, rpc).read(pairs, scope)

    assert reading.unread == {(wallet, burner)}
    assert len(reading.balances) == 1001
    assert reading.balances[wallet, usdc] == evm_world.balance(1, usdc, wallet)
    assert len(scope.calls) == 1


def test_more_pairs_than_one_call_takes_are_read_at_the_block_of_the_first(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    wallet, counting = evm_world.wallets[0], put_code(chain, 30, COUNTS_BLOCKS)

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        answer = forward(call)
        chain.send(wallet, ANYBODY[0], wei=1)  # a block after each call
        return 200, answer

    with node_proxy(chain.url, rule) as url:
        reading = bulk_reader(url, rpc).read([(one, counting) for one in (*ANYBODY, *evm_world.wallets)], scope)

    assert set(reading.balances.values()) == {reading.block}
    assert len(reading.balances) == len(ANYBODY) + 2
    assert len(scope.calls) == 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda call, forward: (
            node_error(call, -32602, "too many arguments, want at most 2")
            if brings_code(call)
            else (200, forward(call))
        ),
        lambda call, forward: (200, forward({**call, "params": call["params"][:2]})),
    ],
    ids=["refuses", "ignores"],
)
def test_a_node_that_takes_no_code_says_so_and_is_not_asked_again(
    chain: EvmChain, rpc: HttpClient, scope: CallScope, answer: Callable[[Any, Forward], tuple[int, Any]]
) -> None:
    with node_proxy(chain.url, answer) as url:
        bulk = bulk_reader(url, rpc)
        for _ in range(2):
            with pytest.raises(NotOffered, match="does not run code"):
                bulk.read([(ANYBODY[0], NATIVE_TOKEN)], scope)
    assert len(scope.calls) == 2  # with code, and to Multicall3, which this chain has not


@pytest.mark.parametrize("refusal", [(-32000, "out of gas"), (-32600, "request entity too large")])
def test_a_node_that_refuses_large_calls_is_asked_in_smaller_ones(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope, refusal: tuple[int, str]
) -> None:
    wallet = evm_world.wallets[0]

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        return node_error(call, *refusal) if len(call["params"][0]["data"]) > 2 + 80 * 300 else (200, forward(call))

    with node_proxy(chain.url, rule) as url:
        bulk = bulk_reader(url, rpc)
        pairs = [(one, NATIVE_TOKEN) for one in (*ANYBODY[:900], wallet)]
        assert bulk.read(pairs, scope).balances[wallet, NATIVE_TOKEN] == chain.balance(wallet)
        scope.calls.clear()
        assert not bulk.read(pairs[-200:], scope).unread
    assert len(scope.calls) == 1  # the size is remembered


def test_chunks_that_a_node_refuses_are_unread_and_not_zero(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    calls: list[Any] = []

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        calls.append(call)
        named = call["params"][1] != "latest"
        return node_error(call, -32000, "header not found") if named else (200, forward(call))

    with node_proxy(chain.url, rule) as url:
        reading = bulk_reader(url, rpc).read([(one, NATIVE_TOKEN) for one in (*ANYBODY, *evm_world.wallets)], scope)

    assert reading.unread == {(wallet, NATIVE_TOKEN) for wallet in evm_world.wallets}
    assert len(reading.balances) == len(ANYBODY)


def test_a_node_with_another_block_of_the_same_number_is_not_mixed_with_the_first(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        answer = forward(call)
        if call["params"][1] != "latest":  # the parent's hash of another fork
            said = answer["result"]
            answer["result"] = said[: 2 + 64] + "ab" * 32 + said[2 + 128 :]
        return 200, answer

    with node_proxy(chain.url, rule) as url:
        reading = bulk_reader(url, rpc).read([(one, NATIVE_TOKEN) for one in (*ANYBODY, *evm_world.wallets)], scope)

    assert {wallet for wallet, _ in reading.unread} == set(evm_world.wallets)


def test_a_node_that_fails_raises_and_reads_nothing(chain: EvmChain, rpc: HttpClient, scope: CallScope) -> None:
    with node_proxy(chain.url, lambda *_: (503, "away")) as url, pytest.raises(ProviderError):
        bulk_reader(url, rpc).read([(ANYBODY[0], NATIVE_TOKEN)], scope)


def transfers(bulk: BulkBalances, wallets: list[str], first: int, last: int, scope: CallScope) -> dict[str, set[str]]:
    return bulk.logs.received(wallets, first, last, scope)


@pytest.fixture
def moved(evm_world: EvmWorld, chain: EvmChain) -> tuple[int, int, dict[str, set[str]]]:
    """A range of blocks in which tokens moved, and what each wallet received in it."""
    one, other = evm_world.wallets
    tokens = evm_world.tokens[1]
    chain.send(one, tokens["usdc"], "transfer(address,uint256)", [other, 5])
    first = int(chain.rpc("eth_blockNumber"), 16) + 1
    chain.send(one, tokens["link"], "transfer(address,uint256)", [other, 5])
    chain.rpc("anvil_mine", hex(50))
    minted = evm_world.deploy(1, EvmToken("StandardToken", STRINGS, ("New", "NEW", 18), (3, 0)))
    chain.rpc("anvil_mine", hex(50))
    last = int(chain.rpc("eth_blockNumber"), 16)
    chain.send(one, tokens["weth"], "transfer(address,uint256)", [other, 5])
    return first, last, {one: {minted}, other: {tokens["link"]}}


def test_tokens_received_in_a_range_of_blocks_are_found_by_wallet(
    evm_world: EvmWorld,
    chain: EvmChain,
    rpc: HttpClient,
    scope: CallScope,
    moved: tuple[int, int, dict[str, set[str]]],
) -> None:
    first, last, expected = moved
    assert transfers(bulk_reader(chain.url, rpc), [*ANYBODY[:1500], *evm_world.wallets], first, last, scope) == expected
    assert len(scope.calls) == 2  # at most a thousand receivers each


@pytest.mark.parametrize(
    ("limit", "code", "message"),
    [
        (10, -32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."),
        (30, -32000, "exceed maximum block range: 30"),
        (60, -32005, "query returned more than 10000 results"),
        (60, -32602, "Log response size exceeded."),
    ],
)
def test_a_node_with_a_limit_of_blocks_is_asked_in_ranges_that_are_remembered(
    evm_world: EvmWorld,
    chain: EvmChain,
    rpc: HttpClient,
    scope: CallScope,
    moved: tuple[int, int, dict[str, set[str]]],
    limit: int,
    code: int,
    message: str,
) -> None:
    first, last, expected = moved

    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        wanted = call["params"][0]
        if int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) >= limit:
            return 400, node_error(call, code, message)[1]
        return 200, forward(call)

    with node_proxy(chain.url, rule) as url:
        bulk = bulk_reader(url, rpc)
        if limit == 10:
            with pytest.raises(NotOffered, match="too few"):
                transfers(bulk, [*evm_world.wallets], first, last, scope)
            assert bulk.logs.reach < last - first
            return
        assert transfers(bulk, [*evm_world.wallets], first, last, scope) == expected
        scope.calls.clear()
        assert transfers(bulk, [*evm_world.wallets], first, last, scope) == expected
    assert {call.outcome for call in scope.calls} == {"ok"}
    assert len(scope.calls) <= 10


def test_a_node_without_logs_says_so(chain: EvmChain, rpc: HttpClient, scope: CallScope) -> None:
    with node_proxy(chain.url, lambda call, _: node_error(call, -32601, "the method does not exist")) as url:
        bulk = bulk_reader(url, rpc)
        with pytest.raises(NotOffered, match="no logs"):
            transfers(bulk, ANYBODY[:1], 0, 1, scope)
    assert bulk.logs.reach == 0


def test_an_nft_with_four_topics_is_no_token(
    evm_world: EvmWorld, chain: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    def rule(call: Any, forward: Forward) -> tuple[int, Any]:
        answer = forward(call)
        answer["result"] += [
            {**log, "topics": [*log["topics"], "0x01"], "address": "0x" + "ab" * 20} for log in answer["result"]
        ]
        return 200, answer

    one, other = evm_world.wallets
    usdc = evm_world.tokens[1]["usdc"]
    chain.send(one, usdc, "transfer(address,uint256)", [other, 5])
    block = int(chain.rpc("eth_blockNumber"), 16)
    with node_proxy(chain.url, rule) as url:
        assert transfers(bulk_reader(url, rpc), [other], block, block, scope) == {other: {usdc}}
