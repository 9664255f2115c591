"""The clients of the data providers against the simulator."""

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainOutcome, TokenInfo
from moonx_pipeline.providers.alchemy_data import plan_groups
from moonx_pipeline.providers.errors import KeyRejected, Malformed, Oversized, ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET, THREE_WALLETS, initial_holdings
from moonx_pipeline.sync.runtime import Runtime, open_runtime

CHAIN_IDS = [chain.id for chain in DEFAULT_CHAINS]
MESA = next(key for key, token in TOKENS.items() if (key[0], token.symbol) == (137, "MESA"))


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(20)


def read(runtime: Runtime, scope: CallScope, *wallets: str, with_metadata: bool = False):
    assert runtime.providers.alchemy is not None
    pairs = [(wallet, chain_id) for wallet in wallets for chain_id in CHAIN_IDS]
    found = {}
    for group in runtime.providers.alchemy.plan_requests(pairs, with_metadata=with_metadata):
        found |= runtime.providers.alchemy.read_balances(group, with_metadata=with_metadata, scope=scope).balances
    return found


def in_world(wallet: str, chain_id: int) -> dict[str, int]:
    return {h.token.address: h.balance for h in initial_holdings(wallet).get(chain_id, []) if h.balance}


@pytest.mark.parametrize("with_metadata", [True, False])
def test_every_wallet_and_chain_is_read_in_full(runtime: Runtime, scope: CallScope, with_metadata: bool) -> None:
    found = read(runtime, scope, *THREE_WALLETS, with_metadata=with_metadata)

    assert {pair: reading.balances for pair, reading in found.items()} == {
        (wallet, chain_id): in_world(wallet, chain_id) for wallet in THREE_WALLETS for chain_id in CHAIN_IDS
    }


@pytest.mark.parametrize(
    ("with_metadata", "wallets", "calls"), [(False, 3, 1), (False, 7, 3), (True, 2, 1), (True, 5, 3)]
)
def test_wallets_are_packed_into_as_few_calls_as_the_api_allows(with_metadata: bool, wallets: int, calls: int) -> None:
    pairs = [(f"0x{n:040x}", chain_id) for n in range(wallets) for chain_id in CHAIN_IDS]

    groups = plan_groups(pairs, with_metadata=with_metadata)

    assert len(groups) == calls
    assert [(wallet, c) for group in groups for wallet, chain_ids in group for c in chain_ids] == pairs


def test_chains_with_keys_of_their_own_are_asked_with_them(
    engine: Engine, simulator: RunningSimulator, scope: CallScope
) -> None:
    environment = {**simulator.environment(), "ALCHEMY_API_KEY_POLYGON": "bad-key"}
    runtime = open_runtime(Settings.from_environment(environment), engine)
    assert runtime.providers.alchemy is not None
    groups = runtime.providers.alchemy.plan_requests([(PLAIN_WALLET, c) for c in CHAIN_IDS], with_metadata=False)

    assert [[c for _, ids in group for c in ids] for group in groups] == [[1, 10, 42161, 8453], [137]]
    with pytest.raises(KeyRejected):
        runtime.providers.alchemy.read_balances(groups[1], with_metadata=False, scope=scope)


def test_a_network_that_fails_alone_is_a_failed_reading_by_its_own_name(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope
) -> None:
    simulator.fault("partial_error", network="polygon-mainnet")

    found = read(runtime, scope, PLAIN_WALLET)

    assert {c for (_, c), reading in found.items() if reading.outcome is ChainOutcome.FAILED} == {137}
    assert "upstream_timeout" in (found[PLAIN_WALLET, 137].reason or "")


@pytest.mark.parametrize(
    ("fault", "kind", "why"),
    [
        ("malformed", Malformed, "$.data"),
        ("wrong_types", Malformed, "$.data"),
        ("endless_page_key", Oversized, "page key twice"),
    ],
)
def test_a_list_that_can_not_be_trusted_is_an_error_that_names_why(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope, fault: str, kind: type[ProviderError], why: str
) -> None:
    simulator.fault(fault)

    with pytest.raises(kind) as problem:
        read(runtime, scope, PLAIN_WALLET)

    assert why in str(problem.value)


@pytest.mark.parametrize(("with_metadata", "pages"), [(True, 3), (False, 10)])
def test_a_long_list_is_left_to_json_rpc_with_the_names_and_prices_it_gave(
    runtime: Runtime, scope: CallScope, with_metadata: bool, pages: int
) -> None:
    assert runtime.providers.alchemy is not None
    reading = runtime.providers.alchemy.read_balances(
        [(SPAM_WALLET, CHAIN_IDS)], with_metadata=with_metadata, scope=scope
    )

    assert len(scope.calls) == pages
    assert {r.outcome for r in reading.balances.values()} == {ChainOutcome.FAILED}
    assert all("too long" in (r.reason or "") for r in reading.balances.values())
    assert reading.outages == {}
    assert sum(len(r.tokens) for r in reading.balances.values()) == (300 - 1 if with_metadata else 0)
    assert bool(reading.quotes) is with_metadata


def test_duplicates_are_one_and_unreadable_balances_are_unknown_not_zero(
    runtime: Runtime, simulator: RunningSimulator, scope: CallScope
) -> None:
    simulator.fault("duplicate_tokens")
    simulator.fault("token_error", params={"message": "execution timeout"})

    found = read(runtime, scope, PLAIN_WALLET)

    ethereum = found[PLAIN_WALLET, 1]
    (second,) = ethereum.unknown
    assert ethereum.balances == {t: b for t, b in in_world(PLAIN_WALLET, 1).items() if t != second}


def test_json_rpc_reads_the_same_balances(runtime: Runtime, scope: CallScope) -> None:
    assert runtime.providers.alchemy is not None
    for chain_id in CHAIN_IDS:
        read = runtime.providers.alchemy.rpc_balances(SPAM_WALLET, chain_id, scope)
        assert (read.balances.outcome, read.stopped_by, read.is_resumed) == (ChainOutcome.OK, None, False)
        assert read.balances.balances == in_world(SPAM_WALLET, chain_id)


def test_a_list_that_is_not_read_to_its_end_goes_on_where_it_stopped(
    engine: Engine, simulator: RunningSimulator, scope: CallScope
) -> None:
    runtime = open_runtime(Settings.from_environment({**simulator.environment(), "PROVIDER_MAX_PAGES": "3"}), engine)
    assert runtime.providers.alchemy is not None
    found: dict[str, int] = {}
    key, parts = None, 0
    while parts == 0 or key is not None:
        read = runtime.providers.alchemy.rpc_balances(SPAM_WALLET, 1, scope, resume_key=key)
        assert read.is_resumed == (key is not None)
        found |= read.balances.balances
        key, parts = read.balances.resume_key, parts + 1
        if key is not None:
            assert read.balances.outcome is ChainOutcome.PARTIAL
            more = "more " if read.is_resumed else ""
            assert read.balances.reason == f"Read in part: 300 {more}tokens so far; the next sync goes on there."

    assert parts == 2
    assert {token: balance for token, balance in found.items() if balance} == in_world(SPAM_WALLET, 1)


def test_metadata_is_asked_in_batches_and_matched_in_any_order(runtime: Runtime, scope: CallScope) -> None:
    assert runtime.providers.alchemy is not None
    contracts = [address for chain_id, address in TOKENS if chain_id == 137 and address != NATIVE_TOKEN]

    found = runtime.providers.alchemy.token_metadata(137, [*contracts, "0x" + "0" * 40], scope)

    assert found[MESA[1]] == TokenInfo("MESA", "Mesa Credit", 8)
    assert {address: info.symbol for address, info in found.items() if address in contracts} == {
        address: TOKENS[137, address].symbol for address in contracts
    }
    assert found["0x" + "0" * 40] == TokenInfo(None, None, None)


def test_contracts_are_asked_themselves_where_alchemy_knows_no_names(runtime: Runtime, scope: CallScope) -> None:
    assert runtime.providers.alchemy is not None
    contracts = [address for chain_id, address in TOKENS if chain_id == 137 and address != NATIVE_TOKEN]

    found = runtime.providers.alchemy.contract_info(137, [*contracts, "0x" + "0" * 40], scope)

    assert found.keys() == {*contracts, "0x" + "0" * 40}
    assert found[MESA[1]] == TokenInfo("MESA", "Mesa Credit", 8)
    assert found["0x" + "0" * 40] == TokenInfo(None, None, None)
    assert {call.provider for call in scope.calls} == {"alchemy"}
    assert scope.compute_units == 3 * 26 * len(found)
