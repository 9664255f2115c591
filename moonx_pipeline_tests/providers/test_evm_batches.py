"""Nodes that are difficult about batches, blocks and rates: a proxy before a real node plays them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.providers.errors import BadRequest, KeyRejected, Malformed, ProviderError, RateLimited
from moonx_pipeline.providers.evm import EvmNode, NodeBehind
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.evm_world import EvmWorld
from moonx_pipeline_tests.support.node_proxy import Forward, Rule, node_proxy

KEY = "k3y-that-nobody-may-see"


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(30)


def refused(code: int, message: str, number: int | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def takes_at_most(size: int, status: int, answer: Any) -> Rule:
    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        return (status, answer) if isinstance(body, list) and len(body) > size else (200, forward(body))

    return rule


def out_of_order(body: Any, forward: Forward) -> tuple[int, Any]:
    answers = forward(body)
    if isinstance(answers, list):
        answers.sort(key=lambda answer: -answer["id"] % 3)
    return 200, answers


def cut_off(body: Any, forward: Forward) -> tuple[int, Any]:
    """Like Geth where the answers together are too large: the first come, the others are refused."""
    answers = forward(body)
    if isinstance(answers, list):
        answers[3:] = [refused(-32003, "response too large", answer["id"]) for answer in answers[3:]]
    return 200, answers


NODES: dict[str, Rule] = {
    "any order": out_of_order,
    "no arrays: an object": takes_at_most(0, 200, refused(-32600, "Batch requests are not supported")),
    "no arrays: an object with 400": takes_at_most(0, 400, refused(-32700, "parse error")),
    "no arrays: an object with 500": takes_at_most(0, 500, refused(-32603, "batching is disabled")),
    "no arrays: a call that it does not know, with 500": takes_at_most(0, 500, refused(-32600, "invalid request")),
    "no arrays: 405 and HTML": takes_at_most(0, 405, "<html>no</html>"),
    "two at most: 413": takes_at_most(2, 413, "request entity too large"),
    "two at most: one error in an array": takes_at_most(2, 200, [refused(-32600, "batch too large", 1)]),
    "two at most: an empty array": takes_at_most(2, 200, []),
    "three answers at most": cut_off,
}


@pytest.mark.parametrize("rule", NODES.values(), ids=NODES.keys())
def test_balances_are_right_whatever_batches_the_node_takes(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, rule: Rule
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())
    with node_proxy(evm_world.chains[1].url, rule) as url:
        node = EvmNode(1, url, http=rpc)
        reading = node.balances(wallet, tokens, scope)
        scope.calls.clear()
        again = node.balances(wallet, tokens, scope)

    assert reading.balances == {token: evm_world.balance(1, token, wallet) for token in [NATIVE_TOKEN, *tokens]}
    assert reading.unknown == set()
    assert again == reading
    # What the node refuses is learnt: the second time nothing is refused.
    assert {call.outcome for call in scope.calls} == {"ok"}


def test_many_tokens_go_in_batches_of_bounded_size(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    sizes = []

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        sizes.append(len(body) if isinstance(body, list) else 1)
        return 200, forward(body)

    tokens = [f"0x{number:040x}" for number in range(1_000, 1_250)]
    with node_proxy(evm_world.chains[1].url, rule) as url:
        reading = EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], tokens, scope)

    assert reading.without_balance == set(tokens)
    assert sizes == [3, 100, 100, 51]


def test_all_balances_are_of_one_block_though_a_transfer_falls_between_two_batches(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    sender, receiver = evm_world.wallets
    points, usdc = evm_world.tokens[1]["points"], evm_world.tokens[1]["usdc"]

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        answer = forward(body)
        if "eth_getBalance" in str(body):
            evm_world.transfer(1, usdc, 1_250_500_000, sender=sender, to=receiver)
            evm_world.transfer(1, points, 4_200, sender=sender, to=receiver)
        return 200, answer

    with node_proxy(evm_world.chains[1].url, rule) as url:
        # Two calls a batch: the coin and points go before the transfer, USDC after it.
        reading = EvmNode(1, url, http=rpc, batch_size=2).balances(sender, [points, usdc], scope)

    assert (reading.balances[points], reading.balances[usdc]) == (4_200, 1_250_500_000)
    assert evm_world.balance(1, usdc, sender) == 0


NO_BLOCK = [
    "header not found",
    "header for hash not found",
    "Unknown block",
    "block not found: 0x1234",
    "Block 123456 not processed yet. Please try again.",
    "missing trie node 6d2f (path ) state 0x6d2f is not available",
    "historical state 6d2f is not available",
    "state at block #123 is pruned",
]


@pytest.mark.parametrize("text", NO_BLOCK)
@pytest.mark.parametrize("whole", [False, True], ids=["each call", "the batch"])
def test_a_node_without_the_block_is_asked_for_its_latest(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, text: str, whole: bool
) -> None:
    wallet, points = evm_world.wallets[0], evm_world.tokens[1]["points"]

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        if "eth_call" not in str(body) or "latest" in str(body):
            return 200, forward(body)
        if whole:
            return 500, refused(-32000, text)
        return 200, [refused(-32000, text, call["id"]) for call in body]

    with node_proxy(evm_world.chains[1].url, rule) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, [points], scope)

    assert reading.balances == {NATIVE_TOKEN: 10**19, points: 4_200}


def test_a_real_node_that_lags_is_asked_for_its_latest(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        answers = forward(body)
        if "eth_blockNumber" in str(body):
            answers[0]["result"] = hex(int(answers[0]["result"], 16) + 10)
        return 200, answers

    wallet, points = evm_world.wallets[0], evm_world.tokens[1]["points"]
    with node_proxy(evm_world.chains[1].url, rule) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, [points], scope)

    assert reading.balances == {NATIVE_TOKEN: 10**19, points: 4_200}


FAILURES: dict[str, tuple[int, Any, type[ProviderError]]] = {
    "429": (429, "slow down", RateLimited),
    "429 in the body": (200, refused(429, f"too many requests for {KEY}"), RateLimited),
    "a limit in the batch": (200, [refused(-32005, "limit exceeded", 1), refused(-32005, "…", 2)], RateLimited),
    "a wrong key": (401, refused(-32600, f"Must be authenticated! {KEY}"), KeyRejected),
    "a forbidden key": (403, "<html>Forbidden</html>", KeyRejected),
    "no JSON": (200, "<html>Welcome</html>", Malformed),
    "another shape": (200, {"jsonrpc": "2.0", "id": 1, "result": {"number": 1}}, Malformed),
    "nothing works": (413, "", BadRequest),
}


@pytest.mark.parametrize(("status", "answer", "error"), FAILURES.values(), ids=FAILURES.keys())
def test_a_refusal_of_everything_is_an_error_of_its_kind_without_the_key(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, status: int, answer: Any, error: type[ProviderError]
) -> None:
    def rule(_body: Any, _forward: Forward) -> tuple[int, Any]:
        return status, answer

    with node_proxy(evm_world.chains[1].url, rule, path=f"/v2/{KEY}") as url, pytest.raises(error) as caught:
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], [], scope)

    assert (caught.value.provider, type(caught.value)) == ("rpc", error)
    assert KEY not in repr(caught.value)


def test_a_number_that_is_none_is_malformed(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        return 200, {"jsonrpc": "2.0", "id": 1, "result": "lots"} if "eth_getBalance" in str(body) else forward(body)

    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(Malformed, match="eth_getBalance with 'lots'"):
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], [], scope)


def of_age(hours: float | None, block: str | None = None) -> Rule:
    """A node whose newest block is so old; ``None`` does not tell."""
    seconds = 0 if hours == float("inf") else int(time.time() - (hours or 0) * 3600)

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        answers = forward(body)
        for call, answer in zip(body, answers, strict=True) if isinstance(body, list) else [(body, answers)]:
            if call["method"] == "eth_getBlockByNumber":
                if hours is None:
                    answer |= refused(-32601, "the method does not exist")
                    answer.pop("result", None)
                else:
                    answer["result"]["timestamp"] = hex(seconds)
            if call["method"] == "eth_blockNumber" and block is not None:
                answer["result"] = block
        return 200, answers

    return rule


@pytest.mark.parametrize("hours", [0, 0.9, None])
def test_a_node_of_now_or_that_tells_no_time_is_believed(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, hours: float | None
) -> None:
    with node_proxy(evm_world.chains[1].url, of_age(hours)) as url:
        reading = EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], [], scope)
    assert reading.balances[NATIVE_TOKEN] == 10**19


@pytest.mark.parametrize(
    ("hours", "since"),
    [(1.1, r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"), (2400, r"\d{4}-.* UTC"), (float("inf"), "the chain's beginning")],
)
def test_a_node_that_is_behind_is_not_believed(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, hours: float, since: str
) -> None:
    with node_proxy(evm_world.chains[1].url, of_age(hours)) as url:
        node = EvmNode(1, url, http=rpc)
        for _ in range(2):
            with pytest.raises(NodeBehind, match=rf"its newest block, \d+, is of {since}\.$"):
                node.balances(evm_world.wallets[0], [], scope)


def test_two_first_readings_at_once_take_no_answer_for_another(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    asked, is_asked, other_is_done = [], threading.Event(), threading.Event()

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        if "eth_chainId" in str(body):
            asked.append(body)
            if len(asked) == 1:
                is_asked.set()
                assert other_is_done.wait(20)
        return 200, forward(body)

    with node_proxy(evm_world.chains[1].url, rule) as url, ThreadPoolExecutor() as pool:
        node = EvmNode(1, url, http=rpc)
        first = pool.submit(node.balances, evm_world.wallets[0], [], scope)
        assert is_asked.wait(20)
        node.balances(evm_world.wallets[0], [], scope)
        other_is_done.set()
        assert first.result(20).balances[NATIVE_TOKEN] == 10**19
    assert len(asked) == 2


ETHEREUMS_FIRST = "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"


def test_a_chain_of_ones_own_is_read_at_its_first_block(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    with node_proxy(evm_world.chains[1].url, of_age(float("inf"), "0x0")) as url:
        reading = EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], [], scope)
    assert (reading.outcome, reading.block) == (ChainOutcome.OK, 0)


def test_a_node_of_ethereum_that_has_only_its_first_block_is_behind(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    age = of_age(float("inf"), "0x0")

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        status, answer = age(body, forward)
        if not isinstance(body, list) and body["method"] == "eth_getBlockByNumber":
            answer["result"]["hash"] = ETHEREUMS_FIRST
        return status, answer

    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(NodeBehind):
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], [], scope)


def test_a_node_that_begins_anew_between_two_readings_is_noticed(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    rules = [of_age(0, hex(10**6)), of_age(float("inf"), "0x0")]
    with node_proxy(evm_world.chains[1].url, lambda body, forward: rules[0](body, forward)) as url:
        node = EvmNode(1, url, http=rpc)
        assert node.token_info([], scope) == {}
        del rules[0]
        with pytest.raises(NodeBehind):
            node.balances(evm_world.wallets[0], [], scope)
