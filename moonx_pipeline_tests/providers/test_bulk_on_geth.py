"""Bulk readings on Geth: the same as on any node, whatever it refuses and however it says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.providers.bulk_balances import BulkBalances
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_calls import Endpoint, NodeCalls
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline_tests.support.geth_node import GETH, GethNode, running_geth, token_code
from moonx_pipeline_tests.support.go_tools import go_tool
from moonx_pipeline_tests.support.odd_contracts import BURNS, INVALID, MOST, REVERTS, UNDERFLOWS, answering

WALLETS = [f"0x{number:040x}" for number in range(0x1000, 0x1000 + 9000)]
TOKEN = "0x" + "c0" * 19 + "01"
ODD = {
    "most": answering(MOST, 32),
    "three words": answering(9, 96),
    "short": answering(7, 31),
    "nothing": answering(7, 0),
    "reverts": REVERTS,
    "burns": BURNS,
    "invalid": INVALID,
    "underflows": UNDERFLOWS,
}
ADDRESS = {name: f"0x{'d0' * 19}{number:02x}" for number, name in enumerate(ODD)}


@pytest.fixture(scope="module")
def geth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GethNode]:
    binary = go_tool(*GETH)
    funds = {wallet: {"balance": hex(number)} for number, wallet in enumerate(WALLETS[:300], 5)}
    storage = {f"0x{wallet[2:]:0>64}": f"0x{number:064x}" for number, wallet in enumerate(WALLETS[:5000], 7)}
    token = {TOKEN: {"balance": "0x0", "code": token_code(), "storage": storage}}
    odd = {ADDRESS[name]: {"balance": "0x0", "code": code} for name, code in ODD.items()}
    with running_geth(binary, tmp_path_factory.mktemp("geth"), {**funds, **token, **odd}) as node:
        yield node


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(60)


@pytest.fixture
def bulk(geth: GethNode, rpc: HttpClient) -> BulkBalances:
    return BulkBalances(NodeCalls(Endpoint(1, geth.url, "rpc", "The node", {}), http=rpc, batch_size=100))


def own(geth: GethNode, wallet: str, token: str) -> int:
    """The chain's own answer."""
    if token == NATIVE_TOKEN:
        return int(geth.rpc("eth_getBalance", wallet, "latest"), 16)
    call = {"to": token, "data": f"0x70a08231{wallet[2:]:0>64}"}
    return int(geth.rpc("eth_call", call, "latest")[:66], 16)


def test_thousands_of_balances_are_the_chains_own_at_one_block(
    geth: GethNode, bulk: BulkBalances, scope: CallScope
) -> None:
    pairs = [(wallet, token) for wallet in WALLETS[:4600] for token in (NATIVE_TOKEN, TOKEN)]

    reading = bulk.read(pairs, scope)

    assert len(reading.balances) == len(pairs)
    assert sum(reading.balances.values()) == sum(range(7, 4607)) + sum(range(5, 305))
    for wallet in (WALLETS[0], WALLETS[299], WALLETS[300], WALLETS[4599]):
        assert reading.balances[wallet, TOKEN] == own(geth, wallet, TOKEN)
        assert reading.balances[wallet, NATIVE_TOKEN] == own(geth, wallet, NATIVE_TOKEN)
    assert reading.block == int(geth.rpc("eth_blockNumber"), 16)
    assert len(scope.calls) <= 4


def test_odd_contracts_are_told_apart_and_cost_no_other_its_balance(
    geth: GethNode, bulk: BulkBalances, scope: CallScope
) -> None:
    holders = [(wallet, TOKEN) for wallet in WALLETS[:500]]
    odd = [(WALLETS[0], address) for address in ADDRESS.values()]

    reading = bulk.read([holders[0], *odd, *holders[1:]], scope)

    names = {address: name for name, address in ADDRESS.items()}
    assert {names[token] for _, token in reading.unread} == {"burns", "invalid", "underflows"}
    assert {names[token] for _, token in reading.refused} == {"reverts", "nothing", "short"}
    assert reading.balances[WALLETS[0], ADDRESS["most"]] == MOST
    assert reading.balances[WALLETS[0], ADDRESS["three words"]] == 9
    assert [reading.balances[pair] for pair in holders] == list(range(7, 507))
    assert len(scope.calls) == 1


def test_hundreds_of_wallets_with_a_burning_token_only_make_more_calls(bulk: BulkBalances, scope: CallScope) -> None:
    burning = [(wallet, ADDRESS["burns"]) for wallet in WALLETS[:400]]

    reading = bulk.read([*burning, (WALLETS[0], TOKEN)], scope)

    assert reading.balances == {(WALLETS[0], TOKEN): 7}
    assert reading.unread == set(burning)
    assert len(scope.calls) <= 3


def test_received_tokens_are_found_and_a_block_above_the_head_is_no_reason_to_fail(
    geth: GethNode, bulk: BulkBalances, scope: CallScope
) -> None:
    wallet, other = WALLETS[6001:6003]
    first = geth.give(TOKEN, wallet)
    last = geth.give(TOKEN, other)

    assert bulk.logs.received(WALLETS[6000:], first, last, scope) == {wallet: {TOKEN}, other: {TOKEN}}
    assert bulk.logs.received(WALLETS[6000:], last, last, scope) == {other: {TOKEN}}
    assert bulk.logs.received(WALLETS[6000:], last, last + 3, scope) == {other: {TOKEN}}
    assert bulk.read([(wallet, TOKEN)], scope, block=first).balances == {(wallet, TOKEN): 1}
    assert bulk.read([(other, TOKEN)], scope, block=first).balances == {(other, TOKEN): 0}


def test_listed_tokens_are_searched_by_the_same_code(geth: GethNode, rpc: HttpClient, scope: CallScope) -> None:
    listed: list[Any] = [*WALLETS[:900], TOKEN, *ADDRESS.values()]

    reading = EvmNode(1, geth.url, http=rpc).balances(WALLETS[0], [], scope, listed=listed)

    assert reading.outcome is ChainOutcome.OK
    assert reading.balances == {NATIVE_TOKEN: 5, TOKEN: 7, ADDRESS["most"]: MOST, ADDRESS["three words"]: 9}
