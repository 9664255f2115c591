"""Balances and token metadata from real EVM nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, NATIVE_TOKEN, POLYGON
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, ChainBalances, ChainOutcome, Coverage, TokenInfo, Way
from moonx_pipeline.providers.error_table import effect_of
from moonx_pipeline.providers.errors import Unavailable
from moonx_pipeline.providers.evm import EvmNode, WrongChain
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_toolchain import Toolchain
from moonx_pipeline.simulator.evm_world import EvmToken, EvmWorld

STRANGER = "0x00000000000000000000000000000000000abcde"
KEY = "k3y-that-nobody-may-see"


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(30)


def chains_own_answer(world: EvmWorld, chain_id: int, wallet: str) -> dict[str, int]:
    tokens = [NATIVE_TOKEN, *world.tokens[chain_id].values()]
    return {token: world.balance(chain_id, token, wallet) for token in tokens}


@pytest.mark.parametrize("chain", DEFAULT_CHAINS, ids=lambda chain: chain.slug)
def test_balances_are_what_the_chain_says_before_and_after_transfers(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, chain
) -> None:
    tokens = evm_world.tokens[chain.id]
    sender, receiver = evm_world.wallets
    node = EvmNode(chain.id, evm_world.chains[chain.id].url, http=rpc)

    def read(wallet: str) -> dict[str, int]:
        return node.balances(wallet, list(tokens.values()), scope).balances

    before = read(sender)
    assert before == chains_own_answer(evm_world, chain.id, sender)
    assert (before[NATIVE_TOKEN], before[tokens["usdc"]], before[tokens["points"]]) == (10**19, 1_250_500_000, 4_200)

    evm_world.transfer(chain.id, NATIVE_TOKEN, 123, sender=sender, to=receiver)
    evm_world.transfer(chain.id, tokens["usdc"], 500_000, sender=sender, to=receiver)
    evm_world.transfer(chain.id, tokens["points"], 4_200, sender=sender, to=receiver)
    evm_world.transfer(chain.id, tokens["taxed"], 1_000, sender=sender, to=receiver)

    after, received = read(sender), read(receiver)
    assert after == chains_own_answer(evm_world, chain.id, sender)
    assert received == chains_own_answer(evm_world, chain.id, receiver)
    assert after[tokens["usdc"]] == before[tokens["usdc"]] - 500_000
    assert after[tokens["points"]] == 0
    assert received[tokens["taxed"]] == 990
    assert received[NATIVE_TOKEN] == 10**19 + 123


def test_a_reading_says_what_it_covers_and_counts_every_token_asked_for(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    tokens = list(evm_world.tokens[POLYGON.id].values())
    (mirror,) = POLYGON.native_mirrors
    assert mirror is not None
    node = EvmNode(POLYGON.id, evm_world.chains[POLYGON.id].url, http=rpc)

    reading = node.balances(STRANGER, [*tokens, *tokens, NATIVE_TOKEN, mirror], scope)

    assert reading == ChainBalances(
        wallet=STRANGER,
        chain_id=POLYGON.id,
        outcome=ChainOutcome.OK,
        balances=dict.fromkeys([NATIVE_TOKEN, *tokens], 0),
        coverage=Coverage.KNOWN_TOKENS,
        source="rpc",
        way=Way.NODE,
        block=int(evm_world.chains[POLYGON.id].rpc("eth_blockNumber"), 16),
        reason=(
            f"Read from your node: the native coin and {len(tokens)} known tokens; "
            "tokens that are new to this wallet are not seen."
        ),
    )
    assert {call.provider for call in scope.calls} == {"rpc"}
    assert {call.chain_id for call in scope.calls} == {POLYGON.id}


def test_the_largest_balance_there_can_be_is_exact(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    most = 2**256 - 1
    token = evm_world.deploy(1, EvmToken("StandardToken", ("string", "string", "uint8"), ("Most", "MOST", 18), (most,)))
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)

    assert node.balances(evm_world.wallets[0], [token], scope).balances[token] == most


BALANCE, REVERT, NOTHING, TOO_SHORT, OUT_OF_GAS = range(5)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (REVERT, ""),
        (REVERT, "closed for today"),
        (REVERT, "header not found"),
        (REVERT, "batch too large"),
        (NOTHING, ""),
        (REVERT, "over rate limit"),
        (REVERT, "monthly capacity limit exceeded"),
        (REVERT, "must be authenticated"),
        (TOO_SHORT, ""),
    ],
)
def test_a_contract_that_gives_no_balance_is_no_fault_of_its_node(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, answer: int, reason: str
) -> None:
    fickle, points = evm_world.tokens[1]["fickle"], evm_world.tokens[1]["points"]
    wallet = evm_world.wallets[0]
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)
    assert node.balances(wallet, [fickle], scope).balances[fickle] == 3 * 10**18
    evm_world.chains[1].send(wallet, fickle, "setAnswer(uint8,string)", [answer, reason])
    scope.calls.clear()

    reading = node.balances(wallet, [fickle, points], scope)

    assert reading.outcome is ChainOutcome.OK
    assert (reading.without_balance, reading.unknown) == ({fickle}, set())
    assert reading.balances == {NATIVE_TOKEN: evm_world.balance(1, NATIVE_TOKEN, wallet), points: 4_200}
    # What a contract says does not make us ask again.
    assert [call.endpoint for call in scope.calls] == ["eth_blockNumber", "eth_call"]


def test_a_contract_that_burns_all_gas_is_asked_once_more_alone_and_then_unknown(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    fickle, points = evm_world.tokens[1]["fickle"], evm_world.tokens[1]["points"]
    wallet = evm_world.wallets[0]
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)
    evm_world.chains[1].send(wallet, fickle, "setAnswer(uint8,string)", [OUT_OF_GAS, ""])

    reading = node.balances(wallet, [fickle, points], scope)

    assert (reading.unknown, reading.without_balance) == ({fickle}, set())
    assert reading.balances[points] == 4_200
    assert [call.endpoint for call in scope.calls] == ["eth_chainId", "eth_call", "eth_call"]


def test_an_address_without_code_gives_no_balance(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)

    reading = node.balances(evm_world.wallets[0], [STRANGER], scope)

    assert (reading.without_balance, reading.unknown) == ({STRANGER}, set())
    assert node.token_info([STRANGER], scope) == {STRANGER: UNKNOWN_TOKEN}


READERS: list[Callable[[EvmNode, CallScope], object]] = [
    lambda node, scope: node.balances(STRANGER, [], scope),
    lambda node, scope: node.token_info([STRANGER], scope),
]


@pytest.mark.parametrize("read", READERS, ids=["balances", "token_info"])
def test_a_node_of_another_chain_is_refused(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope, read: Callable[[EvmNode, CallScope], object]
) -> None:
    node = EvmNode(POLYGON.id, evm_world.chains[1].url, http=rpc)

    for _ in range(2):
        with pytest.raises(WrongChain, match=r"^RPC_URL_POLYGON answers for chain 1, not 137: ") as caught:
            read(node, scope)

    assert not effect_of(caught.value).repeat
    assert "127.0.0.1" not in str(caught.value)


def test_the_chain_is_checked_once(evm_world: EvmWorld, rpc: HttpClient, scope: CallScope) -> None:
    node = EvmNode(1, evm_world.chains[1].url, http=rpc)
    for _ in range(2):
        node.balances(STRANGER, [], scope)

    assert [call.endpoint for call in scope.calls] == [
        "eth_chainId",
        "eth_getBalance",
        "eth_blockNumber",
        "eth_getBalance",
    ]


@pytest.fixture
def mortal(evm_toolchain: Toolchain) -> Iterator[EvmChain]:
    """A chain of its own that the test may end."""
    chain = EvmChain(evm_toolchain.anvil, 1).ready()
    yield chain
    chain.stop()


def test_a_node_that_dies_is_unavailable_and_its_key_stays_secret(
    mortal: EvmChain, rpc: HttpClient, scope: CallScope
) -> None:
    node = EvmNode(1, f"{mortal.url}/?apikey={KEY}", http=rpc)
    account = mortal.accounts()[0]
    assert node.balances(account, [], scope).balances == {NATIVE_TOKEN: 10**19}
    mortal.stop()

    with pytest.raises(Unavailable) as caught:
        node.balances(account, [], scope)

    assert (caught.value.provider, caught.value.chain_id) == ("rpc", 1)
    assert KEY not in "".join(map(repr, (caught.value, caught.value.__cause__)))


TEXTS = ("bytes", "bytes", "uint8")


def test_metadata_is_what_contracts_say_and_nothing_where_they_do_not(
    evm_world: EvmWorld, rpc: HttpClient, scope: CallScope
) -> None:
    tokens = evm_world.tokens[POLYGON.id]
    hostile = {
        "far": EvmToken("StandardToken", TEXTS, (b"Far", b"FAR", 78)),
        "edge": EvmToken("StandardToken", TEXTS, (b"Edge", b"EDGE", 77)),
        "binary": EvmToken("StandardToken", TEXTS, (b"\xff\xfeabc", b"A\0B\0", 18)),
        "endless": EvmToken("StandardToken", TEXTS, ("ж".encode() * 5_000, b"x" * 200, 18)),
        "empty": EvmToken("StandardToken", TEXTS, (b"", b"  ", 0)),
    }
    made = {label: evm_world.deploy(POLYGON.id, token) for label, token in hostile.items()}
    node = EvmNode(POLYGON.id, evm_world.chains[POLYGON.id].url, http=rpc)

    info = node.token_info([*tokens.values(), *made.values()], scope)

    assert {label: info[token] for label, token in (tokens | made).items()} == {
        "usdc": TokenInfo("USDC", "USD Coin", 6),
        "weth": TokenInfo("WETH", "Wrapped Ether", 18),
        "wpol": TokenInfo("WPOL", "Wrapped POL", 18),
        "link": TokenInfo("LINK", "Chainlink", 18),
        "points": TokenInfo("PTS", "Loyalty Points", 0),
        "maker": TokenInfo("MKR", "Maker", 18),
        "taxed": TokenInfo("TAX", "Taxed Coin", 9),
        "undecided": TokenInfo("UND", "Undecided", None),
        "fickle": TokenInfo("FCK", "Fickle", 18),
        "far": TokenInfo("FAR", "Far", None),
        "edge": TokenInfo("EDGE", "Edge", 77),
        "binary": TokenInfo("AB", "\ufffd\ufffdabc", 18),
        "endless": TokenInfo("x" * 128, "ж" * 128, 18),
        "empty": TokenInfo(None, None, 0),
    }
