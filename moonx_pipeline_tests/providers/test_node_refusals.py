"""Single calls that a node refuses inside an answer of status 200: what was not read is asked again, or told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import PartsRefused, QuotaExhausted, RateLimited, Unavailable
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.evm_world import EvmWorld
from moonx_pipeline_tests.support.node_proxy import Forward, Rule, node_proxy


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(30)


def refused(code: int, message: str, number: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


RATES = [
    (-32005, "limit exceeded"),
    (-32007, "50/second request limit reached - reduce calls per second or upgrade your account"),
    (-32016, "over rate limit"),
    (-32029, "Too Many Requests"),
    (-32046, "Cannot fulfill request"),
    (-32090, "Too many requests, reason: call rate limit exhausted, retry in 10s"),
    (15, "Too many request, try again later"),
    (429, "Your app has exceeded its compute units per second capacity."),
    (-32000, "rate limit exceeded"),
    (-32603, "daily request rate-limit reached"),
    (-32097, "We can't execute this request: too many requests"),
]
FAULTS = [
    (-32603, "Internal error"),
    (-32000, "execution aborted (timeout = 5s)"),
    (-32000, "execution timeout"),
    (-32000, "out of gas"),
    (-32003, "out of gas: gas required exceeds: 30000000"),
    (-32002, "request timed out"),
    (-32011, "no backends available for method"),
]
REVERTS = [
    (3, "execution reverted"),
    (3, "execution reverted: too many requests"),
    (-32000, "execution reverted: monthly capacity limit exceeded"),
    (-32000, "Execution reverted (header not found)"),
    (-32015, "VM execution error."),
    (-32603, "Error: VM Exception while processing transaction: reverted with reason string 'batch too large'"),
    (-32000, "invalid opcode: opcode 0xfe not defined"),
    (-32003, "EVM error InvalidFEOpcode"),
    (-32000, "stack underflow (0 <=> 1)"),
]


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        *((*said, Meaning.RATE) for said in RATES),
        *((*said, Meaning.FAULT) for said in FAULTS),
        *((*said, Meaning.REVERT) for said in REVERTS),
        (-32600, "Monthly capacity limit exceeded. Visit https://x to upgrade", Meaning.QUOTA),
        (-32600, "Must be authenticated!", Meaning.KEY),
        (-32000, "Unauthorized", Meaning.KEY),
        (-32051, "API key is not allowed to access blockchain", Meaning.KEY),
        (-32600, "Invalid access key", Meaning.KEY),
        (-32602, "invalid page key", Meaning.MISUSE),
        (-32000, "missing storage key", Meaning.FAULT),
        (-32000, "header not found", Meaning.BLOCK),
        (-32000, "missing trie node 6d2f", Meaning.BLOCK),
        (-32600, "batch too large", Meaning.BATCH),
        (-32003, "response too large", Meaning.BATCH),
        (-32601, "the method eth_call does not exist", Meaning.MISUSE),
        (-32602, "invalid argument 0", Meaning.MISUSE),
    ],
)
def test_each_refusal_of_a_call_means_one_thing(code: int, message: str, meaning: Meaning) -> None:
    assert Refusal(code, message).meaning is meaning


def answers_only(most: int, code: int, message: str) -> Rule:
    """A node that answers with so many calls of a batch and refuses the others."""

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        said = forward(body)
        if isinstance(said, list):
            said[most:] = [refused(code, message, answer["id"]) for answer in said[most:]]
        return 200, said

    return rule


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.parametrize(("code", "message"), RATES)
def test_calls_refused_for_the_rate_are_asked_again_in_smaller_batches(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str, most: int
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())
    node_at_first = EvmNode(1, evm_world.chains[1].url, http=rpc)
    with node_proxy(evm_world.chains[1].url, answers_only(most, code, message)) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, tokens, scope)

    assert reading == node_at_first.balances(wallet, tokens, scope)
    assert reading.balances.keys() == {NATIVE_TOKEN, *tokens}


@pytest.mark.parametrize(("code", "message"), RATES)
def test_a_node_that_refuses_even_single_calls_for_the_rate_fails_with_that_reason(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str
) -> None:
    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        if "eth_call" not in str(body):
            return 200, forward(body)
        return 200, [refused(code, message, call["id"]) for call in body] if isinstance(body, list) else refused(
            code, message, body["id"]
        )

    tokens = list(evm_world.tokens[1].values())
    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(RateLimited, match=f"\\({code}\\)"):
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], tokens, scope)


def test_a_used_up_plan_inside_a_batch_is_told_as_such(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    rule = answers_only(1, -32600, "Monthly capacity limit exceeded.")
    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(QuotaExhausted):
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], list(evm_world.tokens[1].values()), scope)


def test_the_time_that_a_node_names_is_waited_for(evm_world: EvmWorld, scope: CallScope) -> None:
    asked: list[float] = []

    def rule(body: Any, forward: Forward) -> tuple[int, Any] | tuple[int, Any, dict[str, str]]:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return 429, "slow down", {"Retry-After": "1"}
        return 200, forward(body)

    client = HttpClient("rpc", timeout_s=10, retries=2, retry_delay_s=0.01, max_body_bytes=1 << 20)
    with node_proxy(evm_world.chains[1].url, rule) as url:
        reading = EvmNode(1, url, http=client, batch_size=1).balances(evm_world.wallets[0], [], scope)

    assert reading.balances == {NATIVE_TOKEN: 10**19}
    assert asked[1] - asked[0] >= 0.9


@pytest.mark.parametrize("answer", ["<html>slow down</html>", refused(-32005, "limit exceeded")], ids=["html", "json"])
def test_a_node_that_wants_to_be_left_alone_for_long_is_not_waited_for(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, answer: Any
) -> None:
    def rule(_body: Any, _forward: Forward) -> tuple[int, Any, dict[str, str]]:
        return 429, answer, {"Retry-After": "3600"}

    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(RateLimited) as limited:
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], [], scope)

    assert limited.value.retry_at is not None
    assert 3500 < (limited.value.retry_at - datetime.now(UTC)).total_seconds() <= 3600


def refuses(is_refused: Callable[[str, bool], bool], code: int, message: str, status: int = 200) -> Rule:
    """A node that refuses calls by what they ask, and whether they are asked alone."""

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        alone = not isinstance(body, list)
        said = forward(body)
        if alone:
            return (status, refused(code, message, body["id"])) if is_refused(str(body), True) else (200, said)
        by_id = {call["id"]: str(call) for call in body}
        return 200, [
            refused(code, message, each["id"]) if is_refused(by_id[each["id"]], False) else each for each in said
        ]

    return rule


@pytest.mark.parametrize(("code", "message"), FAULTS)
def test_a_token_that_a_node_could_not_do_is_read_when_it_is_asked_alone(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())
    points = evm_world.tokens[1]["points"]
    with node_proxy(evm_world.chains[1].url, refuses(lambda c, alone: points in c and not alone, code, message)) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, tokens, scope)

    assert reading.unknown == set()
    assert reading.balances[points] == 4_200


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(("code", "message"), FAULTS)
def test_a_token_that_a_node_never_does_is_unknown_and_costs_no_other(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str, status: int
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())
    points = evm_world.tokens[1]["points"]
    with node_proxy(evm_world.chains[1].url, refuses(lambda c, _: points in c, code, message, status)) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, tokens, scope)

    assert (reading.unknown, reading.without_balance) == ({points}, set())
    others = [token for token in [NATIVE_TOKEN, *tokens] if token != points]
    assert reading.balances == {token: evm_world.balance(1, token, wallet) for token in others}


@pytest.mark.parametrize(("code", "message"), FAULTS)
def test_a_node_without_the_native_coin_fails_with_its_reason(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str
) -> None:
    rule = refuses(lambda call, _: "eth_getBalance" in call, code, message)
    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(Unavailable, match=f"\\({code}\\)"):
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], list(evm_world.tokens[1].values()), scope)


@pytest.mark.parametrize(("code", "message"), FAULTS)
def test_a_node_that_does_not_do_most_tokens_fails_with_its_reason(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str
) -> None:
    tokens = evm_world.tokens[1]
    rule = refuses(lambda call, _: "eth_call" in call and tokens["points"] not in call, code, message)
    with node_proxy(evm_world.chains[1].url, rule) as url, pytest.raises(PartsRefused) as problem:
        EvmNode(1, url, http=rpc).balances(evm_world.wallets[0], list(tokens.values()), scope)

    assert f"{len(tokens) - 1} of {len(tokens)} tokens" in str(problem.value)
    assert f"({code})" in str(problem.value)


@pytest.mark.parametrize(("code", "message"), REVERTS)
def test_a_contract_that_reverts_everywhere_never_fails_its_chain(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, code: int, message: str
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())
    with node_proxy(evm_world.chains[1].url, refuses(lambda call, _: "eth_call" in call, code, message)) as url:
        reading = EvmNode(1, url, http=rpc).balances(wallet, tokens, scope)

    assert (reading.unknown, reading.without_balance) == (set(), set(tokens))
    assert reading.balances == {NATIVE_TOKEN: 10**19}


ODD_ROWS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ids as texts": lambda row: {**row, "id": str(row["id"])},
    "a result that is a number": lambda row: {**row, "result": 1.157920892373162e77},
    "an error that is a text": lambda row: {"jsonrpc": "2.0", "id": row["id"], "error": "no"},
    "neither result nor error": lambda row: {"jsonrpc": "2.0", "id": row["id"]},
    "a number in the place of a row": lambda _: 5,
    "null": lambda _: None,
    "a row of another call": lambda row: {**row, "id": 99_999},
}


@pytest.mark.parametrize("odd", ODD_ROWS.values(), ids=ODD_ROWS.keys())
def test_an_odd_response_in_a_batch_is_asked_again_and_costs_no_other(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, odd: Callable[[dict[str, Any]], Any]
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        said = forward(body)
        return 200, [*said[:-1], odd(said[-1])] if isinstance(said, list) and "eth_call" in str(body) else said

    with node_proxy(evm_world.chains[1].url, rule) as url:
        node = EvmNode(1, url, http=rpc)
        reading = node.balances(wallet, tokens, scope)
        sizes_before = len(scope.calls)
        node.balances(wallet, tokens, scope)

    assert reading.balances == {token: evm_world.balance(1, token, wallet) for token in [NATIVE_TOKEN, *tokens]}
    # One odd row is no reason to send smaller batches from then on.
    assert len(scope.calls) - sizes_before <= sizes_before


def test_a_contract_that_keeps_its_node_busy_keeps_nobody_from_being_read(
    evm_world: EvmWorld, scope: CallScope
) -> None:
    wallet, tokens = evm_world.wallets[0], list(evm_world.tokens[1].values())
    points, release = evm_world.tokens[1]["points"], threading.Event()

    def rule(body: Any, forward: Forward) -> tuple[int, Any]:
        if points in str(body):
            release.wait(10)
        return 200, forward(body)

    client = HttpClient("rpc", timeout_s=1.5, retries=1, retry_delay_s=0.01, max_body_bytes=1 << 20)
    with node_proxy(evm_world.chains[1].url, rule) as url:
        reading = EvmNode(1, url, http=client).balances(wallet, tokens, scope)
        release.set()

    assert reading.unknown == {points}
    assert reading.balances.keys() == {NATIVE_TOKEN, *tokens} - {points}
