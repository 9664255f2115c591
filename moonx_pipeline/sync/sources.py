"""The providers as one process uses them: one client each, shared by all of its syncs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.pricing import PriceLimits
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.binance import Binance
from moonx_pipeline.providers.coingecko import CoinGecko, key_header
from moonx_pipeline.providers.dexscreener import DexScreener
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.settings import Settings

_THREADS = 32


@dataclass(frozen=True, slots=True)
class Sources:
    """Clients of the providers, and the rules by which what they say is used.

    Attributes:
        alchemy: ``None`` where no key is set.
        nodes: The operator's own EVM nodes by chain id.
        executor: Threads for calls that go on side by side; only calls run in it, never what waits for them.
        price_limits: Bounds of trust in prices.
        liquidity_floor_usd: A pool with less on its trusted side has no price.
        fresh_for: How long a price serves unattended work.
        stale_after: The oldest price that may be used where no source answers.
        intervals: How often portfolios are read.
        sync_seconds: The longest that a sync may take.
    """

    alchemy: Alchemy | None
    nodes: Mapping[int, EvmNode]
    binance: Binance
    coingecko: CoinGecko
    dexscreener: DexScreener
    executor: Executor
    price_limits: PriceLimits
    liquidity_floor_usd: Decimal
    fresh_for: timedelta
    stale_after: timedelta
    intervals: Intervals
    sync_seconds: float


def process_sources(settings: Settings) -> Sources:
    """The sources of this process, made once; a forked process makes its own connections."""
    return _process_sources(settings, os.getpid())


@lru_cache(maxsize=4)
def _process_sources(settings: Settings, _process_id: int) -> Sources:
    return open_sources(settings)


def open_sources(settings: Settings) -> Sources:
    """Clients of all providers that the settings name."""
    alchemy, prices, periodic = settings.alchemy, settings.prices, settings.periodic
    keys = {chain.id: key.get_secret_value() for chain in CHAINS if (key := alchemy.key_for(chain.slug))}
    nodes = {chain.id: url.get_secret_value() for chain in CHAINS if (url := settings.nodes.url_for(chain.slug))}
    coingecko_key = prices.coingecko_key.get_secret_value() if prices.coingecko_key else None

    def client(provider: str, timeout_ms: int, headers: Mapping[str, str] | None = None, *secrets: str) -> HttpClient:
        return HttpClient(
            provider,
            timeout_s=timeout_ms / 1000,
            retries=alchemy.retries,
            retry_delay_s=alchemy.retry_delay_ms / 1000,
            max_body_bytes=settings.http.max_body_bytes,
            headers=headers,
            secrets=secrets,
        )

    binance_key = {"X-MBX-APIKEY": prices.binance_key.get_secret_value()} if prices.binance_key else None
    return Sources(
        alchemy=Alchemy(
            keys,
            data_base_url=alchemy.data_base_url,
            prices_base_url=alchemy.prices_base_url,
            rpc_url_template=alchemy.rpc_url_template,
            http=client("alchemy", alchemy.timeout_ms, None, *keys.values()),
            max_pages=settings.http.max_pages,
        )
        if keys
        else None,
        nodes={
            chain_id: EvmNode(chain_id, url, http=client("rpc", alchemy.timeout_ms)) for chain_id, url in nodes.items()
        },
        binance=Binance(prices.binance_base_url, http=client("binance", prices.binance_timeout_ms, binance_key)),
        coingecko=CoinGecko(
            prices.coingecko_base_url,
            http=client(
                "coingecko",
                prices.coingecko_timeout_ms,
                key_header(prices.coingecko_base_url, coingecko_key),
                coingecko_key or "",
            ),
            has_key=coingecko_key is not None,
        ),
        dexscreener=DexScreener(prices.dexscreener_base_url, http=client("dexscreener", prices.dexscreener_timeout_ms)),
        executor=ThreadPoolExecutor(_THREADS, thread_name_prefix="provider"),
        price_limits=PriceLimits(
            disagreement_percent=prices.disagreement_percent,
            jump_factor=prices.jump_factor,
            unconfirmed_usd=prices.unconfirmed_usd,
        ),
        liquidity_floor_usd=prices.liquidity_floor_usd,
        fresh_for=timedelta(milliseconds=prices.fresh_for_ms),
        stale_after=timedelta(milliseconds=prices.stale_limit_ms),
        intervals=Intervals(
            market_hours=timedelta(milliseconds=periodic.market_hours_ms),
            off_hours=timedelta(milliseconds=periodic.off_hours_ms),
        ),
        sync_seconds=settings.worker.timeout_ms / 1000,
    )
