"""What syncs work with, made once per process: the database, provider clients, and the rules."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import Engine

from moonx_pipeline.domain.chains import Chain
from moonx_pipeline.domain.price_limits import PriceLimits
from moonx_pipeline.domain.providers import ALCHEMY, ALCHEMY_PRICES, BINANCE, COINGECKO, DEFILLAMA, DEXSCREENER, NODE
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.alchemy_prices import AlchemyPrices
from moonx_pipeline.providers.binance import Binance
from moonx_pipeline.providers.coingecko import CoinGecko, key_header
from moonx_pipeline.providers.defillama import DefiLlama
from moonx_pipeline.providers.dexscreener import ADDRESSES_A_CALL, DexScreener
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.price_source import PricesByContract
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.providers import LIST_WAYS
from moonx_pipeline.storage.connection.retries import Database, RetryPolicy
from moonx_pipeline.sync.intervals import intervals_of
from moonx_pipeline.sync.protection.breakers import BreakerRules
from moonx_pipeline.sync.protection.context_pool import ContextPool
from moonx_pipeline.sync.protection.rate_limiter import ProviderRateLimiter

_THREADS = 64
"""The most balance calls in progress in one process; a thread starts when it is first needed."""

_PRICE_THREADS = 8
"""The most calls in progress to one price source: more would only wait at it for each other until they are late."""

_BALANCES_WAIT = 12.0
"""Seconds that a balance call waits for its turn: slightly longer than the window of Alchemy's limit."""
_PRICES_WAIT = 0.5
"""Seconds that a price call waits: prices have other sources, and stored evidence."""

_MOST_DESCRIBED = 5000

_FIRST_LOOKS_SHARE = 0.7
"""The share of DexScreener's limit per minute that first looks at a large wallet may take."""


class SingleFlight:
    """Lets one thread per process look up tokens at a time, since concurrent syncs would ask for the same.

    Attributes:
        lock: Held by the thread that looks up.
        ended: ``time.monotonic()`` when the last look-up ended.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ended = -math.inf


@dataclass(frozen=True, slots=True)
class Providers:
    """Provider clients. Shared by threads.

    Attributes:
        alchemy: ``None`` if no key is set.
        nodes: The operator's own EVM nodes by chain id.
        second_opinions: The sources that are asked only about prices in doubt.
        executor: Threads for balance calls; a call in it never waits for another one in it.
        price_executors: Threads for the calls of each price source, by breaker key: a wallet of thousands of tokens
            keeps no balance call waiting.
        breaker_keys: Keys of all their circuit breakers.
        sources: The ways to read balances, in the order in which they are tried; see the setting ``BALANCE_SOURCES``.
        lookups: Lets one thread at a time look up tokens.
    """

    alchemy: Alchemy | None
    nodes: Mapping[int, EvmNode]
    binance: Binance
    coingecko: CoinGecko
    dexscreener: DexScreener
    second_opinions: tuple[PricesByContract, ...]
    executor: Executor
    price_executors: Mapping[str, Executor]
    breaker_keys: tuple[str, ...]
    sources: tuple[str, ...]
    lookups: SingleFlight = field(default_factory=SingleFlight)

    def list_ways(self, chain_id: int) -> tuple[str, ...]:
        """The ways to list a wallet's tokens that there are for a chain, in the order in which they are tried."""
        by_alchemy = self.alchemy is not None and self.alchemy.serves(chain_id)
        return tuple(
            way
            for way in self.sources
            if way in LIST_WAYS and (chain_id in self.nodes if way == "node" else by_alchemy)
        )


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """The rules of syncs.

    Attributes:
        chains: The chains that are read, in display order.
        sync_seconds: The longest that a sync may take.
        intervals: How often portfolios are read.
        breakers: When circuit breakers open.
        price_limits: Bounds of trust in prices.
        full_read_every: How often the tokens of a wallet are listed anew; bulk readings are made in between.
        fresh_for: How long a price serves unattended syncs.
        first_looks: The most tokens never looked up before whose pools one sync may ask for.
        most_metadata: The most tokens whose metadata one sync may ask for; the next syncs ask for the others.
        most_tries: How often a request may lose its worker before it is given up.
    """

    chains: tuple[Chain, ...]
    sync_seconds: float
    intervals: Intervals
    breakers: BreakerRules
    price_limits: PriceLimits
    full_read_every: timedelta
    fresh_for: timedelta
    first_looks: int
    most_metadata: int
    most_tries: int

    @property
    def chain_ids(self) -> tuple[int, ...]:
        return tuple(chain.id for chain in self.chains)


@dataclass(frozen=True, slots=True)
class Runtime:
    """All that syncs work with, for code that needs more than one part of it."""

    db: Database
    providers: Providers
    policy: SyncPolicy


def process_runtime(settings: Settings, engine: Engine) -> Runtime:
    """The runtime of this process, made once; a forked process makes its own connections."""
    return _process_runtime(settings, engine, os.getpid())


@lru_cache(maxsize=4)
def _process_runtime(settings: Settings, engine: Engine, _process_id: int) -> Runtime:
    return open_runtime(settings, engine)


def open_runtime(settings: Settings, engine: Engine) -> Runtime:
    """Makes the runtime that the settings describe.

    Args:
        settings: Settings with keys, addresses, limits and intervals.
        engine: The pipeline's database.
    """
    worker = settings.worker
    database = Database(engine, RetryPolicy(worker.retries, worker.retry_delay_ms / 1000, worker.backoff))
    return Runtime(database, _open_providers(settings, database), sync_policy(settings))


def sync_policy(settings: Settings) -> SyncPolicy:
    """The rules of syncs from the settings."""
    alchemy, prices, worker = settings.alchemy, settings.prices, settings.worker
    return SyncPolicy(
        chains=settings.chains,
        sync_seconds=worker.timeout_ms / 1000,
        intervals=intervals_of(settings.periodic),
        breakers=BreakerRules(
            enabled=worker.breaker_enabled,
            threshold=worker.breaker_threshold,
            open_for=timedelta(milliseconds=worker.breaker_timeout_ms),
            # A probe is part of a sync: after the longest that a sync takes, the prober is dead.
            lease=timedelta(milliseconds=worker.timeout_ms),
        ),
        price_limits=PriceLimits(
            disagreement_percent=prices.disagreement_percent,
            jump_factor=prices.jump_factor,
            far_factor=prices.far_factor,
            unconfirmed_usd=prices.unconfirmed_usd,
            liquidity_floor_usd=prices.liquidity_floor_usd,
            max_age=timedelta(milliseconds=prices.max_age_ms),
            stale_after=timedelta(milliseconds=prices.stale_limit_ms),
        ),
        full_read_every=timedelta(milliseconds=settings.periodic.full_read_ms),
        fresh_for=timedelta(milliseconds=prices.fresh_for_ms),
        first_looks=int(prices.dexscreener_rpm * _FIRST_LOOKS_SHARE) * ADDRESSES_A_CALL,
        # As many as Alchemy's plan allows within its ten-second window, at ten compute units each.
        most_metadata=min(alchemy.max_compute_units, _MOST_DESCRIBED),
        most_tries=worker.retries,
    )


def _open_providers(settings: Settings, database: Database) -> Providers:
    alchemy, prices = settings.alchemy, settings.prices
    chains = settings.chains
    keys = {chain.id: key.get_secret_value() for chain in chains if (key := alchemy.key_for(chain.slug))}
    nodes = {chain.id: url.get_secret_value() for chain in chains if (url := settings.nodes.url_for(chain.slug))}
    coingecko_key = prices.coingecko_key.get_secret_value() if prices.coingecko_key else None

    def client(
        provider: str,
        timeout_ms: int,
        per_minute: int | None,
        *,
        key: str | None = None,
        compute_units: int | None = None,
        patience_s: float = _PRICES_WAIT,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
    ) -> HttpClient:
        return HttpClient(
            provider,
            timeout_s=timeout_ms / 1000,
            retries=alchemy.retries,
            retry_delay_s=alchemy.retry_delay_ms / 1000,
            max_body_bytes=settings.http.max_body_bytes,
            rate_limiter=ProviderRateLimiter(
                database, provider, key or provider, per_minute, compute_units, patience_s
            ),
            patience_s=patience_s,
            pool_size=_THREADS,
            headers=headers,
            secrets=secrets,
        )

    binance_key = {"X-MBX-APIKEY": prices.binance_key.get_secret_value()} if prices.binance_key else None
    of_alchemy = client(
        ALCHEMY.id,
        alchemy.timeout_ms,
        alchemy.rate_limit_rpm,
        compute_units=alchemy.max_compute_units,
        patience_s=_BALANCES_WAIT,
        secrets=keys.values(),
    )
    defillama = DefiLlama(
        prices.defillama_base_url, http=client(DEFILLAMA.id, prices.defillama_timeout_ms, prices.defillama_rpm)
    )
    price_keys = [key for entry in (BINANCE, COINGECKO, DEXSCREENER, DEFILLAMA) for key in entry.breakers]
    return Providers(
        alchemy=Alchemy(
            keys,
            data_base_url=alchemy.data_base_url,
            rpc_url_template=alchemy.rpc_url_template,
            http=of_alchemy,
            max_pages=settings.http.max_pages,
        )
        if keys
        else None,
        nodes={
            chain_id: EvmNode(
                chain_id,
                url,
                http=client(
                    NODE.id, alchemy.timeout_ms, None, key=NODE.breaker_of(chain_id), patience_s=_BALANCES_WAIT
                ),
            )
            for chain_id, url in nodes.items()
        },
        binance=Binance(
            prices.binance_base_url,
            http=client(BINANCE.id, prices.binance_timeout_ms, prices.binance_weight_rpm, headers=binance_key),
        ),
        coingecko=CoinGecko(
            prices.coingecko_base_url,
            http=client(
                COINGECKO.id,
                prices.coingecko_timeout_ms,
                prices.coingecko_rpm,
                headers=key_header(prices.coingecko_base_url, coingecko_key),
                secrets=[coingecko_key or ""],
            ),
            has_key=coingecko_key is not None,
        ),
        dexscreener=DexScreener(
            prices.dexscreener_base_url,
            http=client(DEXSCREENER.id, prices.dexscreener_timeout_ms, prices.dexscreener_rpm),
        ),
        second_opinions=(
            defillama,
            *((AlchemyPrices(keys, base_url=alchemy.prices_base_url, http=of_alchemy),) if keys else ()),
        ),
        executor=ContextPool(_THREADS, thread_name_prefix="balances"),
        price_executors={
            key: ContextPool(_PRICE_THREADS, thread_name_prefix=key) for key in (ALCHEMY_PRICES, *price_keys)
        },
        breaker_keys=(
            *(ALCHEMY.breakers if keys else ()),
            *map(ALCHEMY.breaker_of, keys),
            *map(NODE.breaker_of, nodes),
            *price_keys,
        ),
        sources=settings.balances.sources,
    )
