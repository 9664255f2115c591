"""Every known chain by its entry alone: each provider knows it by the name that the entry has for it.

The simulator has names, contracts and decimals of its own, from other runtime: a wrong fact of an entry fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from moonx_pipeline.domain.chains import CHAIN_BY_SLUG, KNOWN_CHAINS, NATIVE_TOKEN, Chain
from moonx_pipeline.domain.evidence import Evidence
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.identity import Listing, identify
from moonx_pipeline.domain.market import Known, Market
from moonx_pipeline.domain.portfolio import ChainOutcome, TokenInfo, TokenKey
from moonx_pipeline.domain.price_limits import PriceLimits
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.domain.valuation import Valuer
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.alchemy_data import BalanceReading
from moonx_pipeline.providers.alchemy_prices import AlchemyPrices
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.registry.snapshot import shipped_lists
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.networks import CHAINS as SIMULATED
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import EVERY_CHAIN_WALLET, World, initial_holdings
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.quote_rounds import second_opinion

each_chain = pytest.mark.parametrize("chain", KNOWN_CHAINS, ids=lambda chain: chain.slug)
ALL_IDS = [chain.id for chain in KNOWN_CHAINS]


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(20)


@pytest.fixture(name="world")
def _world(simulator: RunningSimulator) -> World:
    return simulator.simulation.world


@pytest.fixture
def client() -> Callable[[str], HttpClient]:
    return lambda provider: HttpClient(
        provider, timeout_s=5, retries=1, retry_delay_s=0.01, max_body_bytes=1 << 24, pool_size=4
    )


@pytest.fixture
def alchemy(simulator: RunningSimulator, client: Callable[[str], HttpClient]) -> Alchemy:
    """Alchemy with one key for every known chain."""
    settings = Settings.from_environment(simulator.environment()).alchemy
    return Alchemy(
        dict.fromkeys(ALL_IDS, "simulator"),
        data_base_url=settings.data_base_url,
        rpc_url_template=settings.rpc_url_template,
        http=client("alchemy"),
        max_pages=10,
    )


@pytest.fixture
def alchemy_prices(simulator: RunningSimulator, client: Callable[[str], HttpClient]) -> AlchemyPrices:
    """Its prices with one key for every known chain."""
    settings = Settings.from_environment(simulator.environment()).alchemy
    return AlchemyPrices(dict.fromkeys(ALL_IDS, "simulator"), base_url=settings.prices_base_url, http=client("alchemy"))


def held(chain_id: int) -> dict[str, int]:
    return {h.token.address: h.balance for h in initial_holdings(EVERY_CHAIN_WALLET)[chain_id] if h.balance}


def wrapped(world: World, chain: Chain) -> SimToken:
    token = world.token(chain.id, chain.wrapped_native)
    assert token is not None
    return token


def read_all(alchemy: Alchemy, scope: CallScope, *, with_metadata: bool) -> tuple[list[BalanceReading], int]:
    pairs = [(EVERY_CHAIN_WALLET, chain_id) for chain_id in ALL_IDS]
    groups = alchemy.plan_requests(pairs, with_metadata=with_metadata)
    readings = [alchemy.read_balances(group, with_metadata=with_metadata, scope=scope) for group in groups]
    return readings, len(groups)


def test_the_simulator_knows_the_same_chains_from_elsewhere() -> None:
    ours = [(chain.id, chain.slug, chain.native.symbol, chain.native.name) for chain in KNOWN_CHAINS]

    assert [(chain.id, chain.slug, chain.coin, chain.coin_name) for chain in SIMULATED] == ours


@pytest.mark.parametrize("with_metadata", [True, False])
def test_all_chains_of_a_wallet_are_read_within_alchemys_limits(
    alchemy: Alchemy, scope: CallScope, with_metadata: bool
) -> None:
    readings, calls = read_all(alchemy, scope, with_metadata=with_metadata)

    found = {pair: read for reading in readings for pair, read in reading.balances.items()}
    assert {pair: read.balances for pair, read in found.items()} == {
        (EVERY_CHAIN_WALLET, chain_id): held(chain_id) for chain_id in ALL_IDS
    }
    assert {read.outcome for read in found.values()} == {ChainOutcome.OK}
    assert calls == (-(-len(ALL_IDS) // 5) if with_metadata else 1)


@each_chain
def test_json_rpc_and_a_node_read_the_same(
    alchemy: Alchemy, client: Callable[[str], HttpClient], simulator: RunningSimulator, scope: CallScope, chain: Chain
) -> None:
    url = simulator.node_environment(chain.slug)[f"RPC_URL_{chain.slug.upper()}"]
    node = EvmNode(chain.id, url, http=client("rpc"))

    by_rpc = alchemy.rpc_balances(EVERY_CHAIN_WALLET, chain.id, scope)
    by_node = node.balances(EVERY_CHAIN_WALLET, [t for t in held(chain.id) if t != NATIVE_TOKEN], scope)

    assert len(held(chain.id)) > 3
    assert by_rpc.balances.balances == by_node.balances == held(chain.id)


@each_chain
def test_decimals_and_names_are_those_of_each_contract(
    alchemy: Alchemy, scope: CallScope, world: World, chain: Chain
) -> None:
    tokens = [token for token in world.tokens() if token.chain_id == chain.id and not token.is_native]

    found = alchemy.token_metadata(chain.id, [token.address for token in tokens], scope)

    assert len(tokens) > 5
    assert {a: info[:3] for a, info in found.items()} == {t.address: (t.symbol, t.name, t.decimals) for t in tokens}


@each_chain
def test_every_source_of_prices_knows_the_chain(
    alchemy_prices: AlchemyPrices, runtime: Runtime, scope: CallScope, world: World, chain: Chain
) -> None:
    token = wrapped(world, chain)
    key, usd = TokenKey(chain.id, token.address), world.usd(token)
    coin, native = chain.native, TokenKey(chain.id, NATIVE_TOKEN)
    defillama = second_opinion(runtime, PriceSource.DEFILLAMA)

    pools = runtime.providers.dexscreener.pools(chain.id, [key.address], scope)[0]
    quoted: dict[str, Quote | None] = {
        "alchemy": alchemy_prices.prices([key], scope).get(key),
        "coingecko by contract": runtime.providers.coingecko.token_prices(chain.id, [key.address], scope).get(
            key.address
        ),
        "coingecko by coin": runtime.providers.coingecko.coin_prices([coin.coingecko_id], scope).get(coin.coingecko_id),
        "defillama": defillama.prices([key], scope).get(key),
        "defillama native": defillama.prices([native], scope).get(native),
    }

    assert {name: quote and quote.price_usd for name, quote in quoted.items()} == dict.fromkeys(quoted, usd)
    assert pools
    assert {pool.chain_id for pool in pools} == {chain.id}
    pair = identify(TokenKey(chain.id, NATIVE_TOKEN), None).binance_symbol
    assert runtime.providers.binance.prices([pair or ""], scope)[pair].price == usd


def known_by_lists() -> dict[TokenKey, Listing]:
    listings: dict[TokenKey, Listing] = {}
    for named in shipped_lists():
        for token in named.tokens:
            key = TokenKey(token.chain_id, token.token_address)
            listing = Listing(token.symbol, token.name, token.logo_url, token.coingecko_id, (named.name,))
            listings.setdefault(key, listing)
    return listings


def valued(reading: BalanceReading, chain_id: int, wallet: str) -> Valuer:
    """What a reading with metadata and prices makes of what a wallet holds, with the lists of the package."""
    listings, now = known_by_lists(), next(iter(reading.quotes.values())).read_at
    known = {
        key: Known(listings.get(key), Evidence({quote.source: quote}, {quote.source: quote.read_at}))
        for key, quote in reading.quotes.items()
    }
    market = Market(
        known, now=now, limits=PriceLimits(), fresh_for=timedelta(minutes=5), old_after=timedelta(minutes=5)
    )
    tokens: dict[TokenKey, TokenInfo] = {
        TokenKey(chain_id, address): info for address, info in reading.balances[wallet, chain_id].tokens.items()
    }
    return Valuer(tokens, market)


@pytest.mark.parametrize(
    ("slug", "symbol", "decimals"),
    [("ethereum", "USDT", 6), ("bnb", "USDT", 18), ("ethereum", "USDC", 6), ("bnb", "USDC", 18)],
)
def test_a_hundred_dollars_are_a_hundred_on_every_chain_whatever_their_decimals(
    alchemy: Alchemy, scope: CallScope, world: World, slug: str, symbol: str, decimals: int
) -> None:
    chain_id = CHAIN_BY_SLUG[slug].id
    token, wallet = world.named(symbol, chain_id), "0x" + "d" * 40
    world.set_balance(wallet, token, 100 * 10**decimals)

    (group,) = alchemy.plan_requests([(wallet, chain_id)], with_metadata=True)
    reading = alchemy.read_balances(group, with_metadata=True, scope=scope)
    balance = reading.balances[wallet, chain_id].balances[token.address]
    (position,) = valued(reading, chain_id, wallet).positions([Holding(wallet, chain_id, token.address, balance)])

    assert (position.symbol, position.decimals, position.amount) == (symbol, decimals, 100)
    assert position.is_verified
    assert position.value_usd is not None
    assert abs(position.value_usd - 100) < 1
