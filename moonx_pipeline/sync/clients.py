"""The clients of providers, made once per process from the settings."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from moonx_pipeline.domain.providers import ALCHEMY, ALCHEMY_PRICES, BINANCE, COINGECKO, DEFILLAMA, DEXSCREENER, NODE
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.alchemy_prices import AlchemyPrices
from moonx_pipeline.providers.binance import Binance
from moonx_pipeline.providers.coingecko import CoinGecko, key_header
from moonx_pipeline.providers.defillama import DefiLlama
from moonx_pipeline.providers.dexscreener import DexScreener
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.price_source import PricesByContract
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.providers import LIST_WAYS
from moonx_pipeline.storage.connection.retries import Database
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


def open_providers(settings: Settings, database: Database) -> Providers:
    """Makes the clients that the settings describe; sends nothing yet.

    Args:
        settings: Settings with keys, addresses and limits.
        database: Where the rate limits are kept.
    """
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
