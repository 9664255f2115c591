"""The clients of the data providers against the simulator."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainOutcome, TokenInfo, TokenKey
from moonx_pipeline.providers.alchemy_data import plan_groups
from moonx_pipeline.providers.errors import KeyRejected, Malformed, ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET, THREE_WALLETS, initial_holdings
from moonx_pipeline.sync.sources import Sources, open_sources
from moonx_pipeline_tests.providers.raw_server import answering, http

CHAIN_IDS = [chain.id for chain in CHAINS]
LINK = next(key for key, token in TOKENS.items() if (key[0], token.symbol) == (1, "LINK"))
MESA = next(key for key, token in TOKENS.items() if (key[0], token.symbol) == (137, "MESA"))


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(20)


def read(sources: Sources, scope: CallScope, *wallets: str, with_metadata: bool = False):
    assert sources.alchemy is not None
    pairs = [(wallet, chain_id) for wallet in wallets for chain_id in CHAIN_IDS]
    found = {}
    for group in sources.alchemy.plan_requests(pairs, with_metadata=with_metadata):
        found |= sources.alchemy.read_balances(group, with_metadata=with_metadata, scope=scope).balances
    return found


def in_world(wallet: str, chain_id: int) -> dict[str, int]:
    return {h.token.address: h.balance for h in initial_holdings(wallet).get(chain_id, []) if h.balance}


@pytest.mark.parametrize("with_metadata", [True, False])
def test_every_wallet_and_chain_is_read_in_full(sources: Sources, scope: CallScope, with_metadata: bool) -> None:
    wallets = (*THREE_WALLETS, SPAM_WALLET)

    found = read(sources, scope, *wallets, with_metadata=with_metadata)

    assert {pair: reading.balances for pair, reading in found.items()} == {
        (wallet, chain_id): in_world(wallet, chain_id) for wallet in wallets for chain_id in CHAIN_IDS
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
    sources = open_sources(Settings.from_environment(environment), engine)
    assert sources.alchemy is not None
    groups = sources.alchemy.plan_requests([(PLAIN_WALLET, c) for c in CHAIN_IDS], with_metadata=False)

    assert [[c for _, ids in group for c in ids] for group in groups] == [[1, 10, 42161, 8453], [137]]
    with pytest.raises(KeyRejected):
        sources.alchemy.read_balances(groups[1], with_metadata=False, scope=scope)


def test_a_network_that_fails_alone_is_a_failed_reading_by_its_own_name(
    sources: Sources, simulator: RunningSimulator, scope: CallScope
) -> None:
    simulator.fault("partial_error", network="polygon-mainnet")

    found = read(sources, scope, PLAIN_WALLET)

    assert {c for (_, c), reading in found.items() if reading.outcome is ChainOutcome.FAILED} == {137}
    assert "upstream_timeout" in (found[PLAIN_WALLET, 137].reason or "")


@pytest.mark.parametrize("fault", ["malformed", "wrong_types", "endless_page_key"])
def test_a_list_that_can_not_be_trusted_is_an_error_that_names_why(
    sources: Sources, simulator: RunningSimulator, scope: CallScope, fault: str
) -> None:
    simulator.fault(fault)

    with pytest.raises(Malformed) as problem:
        read(sources, scope, SPAM_WALLET)

    assert {"malformed": "$.data", "wrong_types": "$.data", "endless_page_key": "page key twice"}[fault] in str(
        problem.value
    )


def test_more_pages_than_allowed_is_an_error_and_never_a_short_list(
    engine: Engine, simulator: RunningSimulator, scope: CallScope
) -> None:
    sources = open_sources(Settings.from_environment({**simulator.environment(), "PROVIDER_MAX_PAGES": "3"}), engine)

    with pytest.raises(Malformed, match="raise PROVIDER_MAX_PAGES"):
        read(sources, scope, SPAM_WALLET)


def test_duplicates_are_one_and_unreadable_balances_are_unknown_not_zero(
    sources: Sources, simulator: RunningSimulator, scope: CallScope
) -> None:
    simulator.fault("duplicate_tokens")
    simulator.fault("token_error")

    found = read(sources, scope, PLAIN_WALLET)

    ethereum = found[PLAIN_WALLET, 1]
    (second,) = ethereum.unknown
    assert ethereum.balances == {t: b for t, b in in_world(PLAIN_WALLET, 1).items() if t != second}


def test_json_rpc_reads_the_same_balances(sources: Sources, scope: CallScope) -> None:
    assert sources.alchemy is not None
    for chain_id in CHAIN_IDS:
        assert sources.alchemy.rpc_balances(SPAM_WALLET, chain_id, scope).balances == in_world(SPAM_WALLET, chain_id)


def test_metadata_is_asked_in_batches_and_matched_in_any_order(sources: Sources, scope: CallScope) -> None:
    assert sources.alchemy is not None
    contracts = [address for chain_id, address in TOKENS if chain_id == 137 and address != NATIVE_TOKEN]

    found = sources.alchemy.token_metadata(137, [*contracts, "0x" + "0" * 40], scope)

    assert found[MESA[1]] == TokenInfo("MESA", "Mesa Credit", 8)
    assert {address: info.symbol for address, info in found.items() if address in contracts} == {
        address: TOKENS[137, address].symbol for address in contracts
    }
    assert found["0x" + "0" * 40] == TokenInfo(None, None, None)


def test_alchemy_prices_are_by_contract_within_its_limits(sources: Sources, scope: CallScope) -> None:
    assert sources.alchemy is not None
    keys = [TokenKey(*key) for key in TOKENS]

    quotes = sources.alchemy.prices(keys, scope)

    assert quotes[TokenKey(*LINK)].price_usd == Decimal("14.32")
    assert TokenKey(1, NATIVE_TOKEN) not in quotes
    assert len(scope.calls) <= 5


def test_binance_quotes_are_exact_and_an_unlisted_symbol_costs_only_itself(
    sources: Sources, simulator: RunningSimulator, scope: CallScope
) -> None:
    prices = sources.binance.prices(["ETHUSDT", "NOPEUSDT", "SHIBUSDT"], scope)

    assert prices == {"ETHUSDT": Decimal("2500.1"), "SHIBUSDT": Decimal("0.0000134")}
    before = simulator.requests("binance")
    sources.binance.prices(["ETHUSDT", "NOPEUSDT", "SHIBUSDT"], scope)
    assert simulator.requests("binance") - before == 1


def test_coingecko_quotes_coins_and_contracts_and_leaves_out_what_it_does_not_list(
    sources: Sources, scope: CallScope
) -> None:
    coins = sources.coingecko.coin_prices(["ethereum", "tether", "no-such-coin"], scope)
    tokens = sources.coingecko.token_prices(1, [LINK[1], "0x" + "1" * 40], scope)

    assert {name: quote.price_usd for name, quote in coins.items()} == {"ethereum": Decimal("2500.1"), "tether": 1}
    assert {address: quote.price_usd for address, quote in tokens.items()} == {LINK[1]: Decimal("14.32")}
    assert coins["ethereum"].price_at is not None


def test_coingecko_learns_how_many_contracts_a_plan_takes(
    sources: Sources, simulator: RunningSimulator, scope: CallScope
) -> None:
    simulator.simulation.contracts_a_call = 4
    contracts = [address for chain_id, address in TOKENS if chain_id == 1 and address != NATIVE_TOKEN][:10]

    found = sources.coingecko.token_prices(1, contracts, scope)

    assert len(found) == len([a for a in contracts if TOKENS[1, a].listed])
    assert sources.coingecko.batch_size == 4


@pytest.mark.parametrize("suffix", ["", "/", "/latest", "/latest/", "/latest/dex"])
def test_dexscreener_is_found_by_every_form_of_its_address(
    engine: Engine, simulator: RunningSimulator, scope: CallScope, suffix: str
) -> None:
    base = f"{simulator.base_url}/dexscreener{suffix}"
    sources = open_sources(Settings.from_environment({**simulator.environment(), "DEXSCREENER_BASE_URL": base}), engine)

    pools = sources.dexscreener.pools(137, [MESA[1]], scope)

    assert {(pool.chain_id, pool.base_address) for pool in pools} == {MESA}


def test_tokens_that_others_push_out_of_an_answer_are_asked_for_again(sources: Sources, scope: CallScope) -> None:
    contracts = [a for chain_id, a in TOKENS if chain_id == 1 and TOKENS[chain_id, a].pool_usd and a != NATIVE_TOKEN]

    pools = sources.dexscreener.pools(1, contracts, scope)

    assert {pool.base_address for pool in pools} >= set(contracts)


@pytest.mark.parametrize(
    ("provider", "fault"),
    [
        (provider, fault)
        for provider in ("binance", "coingecko", "dexscreener")
        for fault in ("outage", "rate_limit", "malformed", "wrong_types", "reset", "truncate")
    ],
)
def test_every_fault_of_a_price_source_is_a_typed_error(
    sources: Sources, simulator: RunningSimulator, scope: CallScope, provider: str, fault: str
) -> None:
    simulator.fault(fault, provider)

    with pytest.raises(ProviderError) as problem:
        {
            "binance": lambda: sources.binance.prices(["ETHUSDT"], scope),
            "coingecko": lambda: sources.coingecko.coin_prices(["ethereum"], scope),
            "dexscreener": lambda: sources.dexscreener.pools(1, [LINK[1]], scope),
        }[provider]()

    assert problem.value.provider == provider


def test_what_is_odd_about_a_name_or_a_price_does_not_cost_the_balance(engine: Engine, scope: CallScope) -> None:
    row = {
        "network": "eth-mainnet",
        "address": PLAIN_WALLET,
        "tokenAddress": "0x" + "ab" * 20,
        "tokenBalance": "0x7",
        "tokenMetadata": {"symbol": 7, "decimals": "many"},
        "tokenPrices": [{"currency": "usd", "value": 1500}],
    }
    with answering(http(json.dumps({"data": {"tokens": [row]}}).encode())) as url:
        sources = open_sources(
            Settings.from_environment({"ALCHEMY_API_KEY": "k", "ALCHEMY_DATA_BASE_URL": url}), engine
        )
        assert sources.alchemy is not None
        reading = sources.alchemy.read_balances([(PLAIN_WALLET, [1])], with_metadata=True, scope=scope)

    assert reading.balances[PLAIN_WALLET, 1].balances == {"0x" + "ab" * 20: 7}
    assert (reading.balances[PLAIN_WALLET, 1].tokens, reading.quotes) == ({}, {})
