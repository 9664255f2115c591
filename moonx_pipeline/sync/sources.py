"""The providers as one process uses them: one client each, shared by all of its syncs."""

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

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.pricing import PriceLimits
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.binance import Binance
from moonx_pipeline.providers.coingecko import CoinGecko, key_header
from moonx_pipeline.providers.defillama import DefiLlama
from moonx_pipeline.providers.dexscreener import ADDRESSES_A_CALL, DexScreener
from moonx_pipeline.providers.evm import EvmNode
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.settings import Settings
from moonx_pipeline.sync.breaking import (
    ALCHEMY_DATA,
    ALCHEMY_PRICES,
    BINANCE,
    COINGECKO,
    DEFILLAMA,
    DEXSCREENER,
    BreakerRules,
    chain_key,
    node_key,
)
from moonx_pipeline.sync.context_pool import ContextPool
from moonx_pipeline.sync.intervals import intervals_of
from moonx_pipeline.sync.repeat import Repeats
from moonx_pipeline.sync.throttle import ProviderGate

_THREADS = 64
"""Calls of one process that are under way at most; a thread is started when it is first needed."""

_BALANCES_WAIT = 12.0
"""Seconds that reading balances waits for its turn: somewhat longer than the window of Alchemy's limit."""
_PRICES_WAIT = 0.5
"""Prices have other sources, and the book."""

_MOST_DESCRIBED = 5000

_FIRST_LOOKS_SHARE = 0.7
"""Of DexScreener's limit for a minute, what the first look at a large wallet may take."""


class Turns:
    """One of a process's threads at a time, and whether one had its turn since.

    Attributes:
        lock: Held during a turn.
        ended: ``time.monotonic()`` when the last turn was over.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ended = -math.inf


@dataclass(frozen=True, slots=True)
class Sources:
    """Clients of the providers, and the rules by which what they say is used.

    Attributes:
        alchemy: ``None`` where no key is set.
        nodes: The operator's own EVM nodes by chain id.
        executor: Threads for calls that go on side by side; only calls run in it, never what waits for them.
        price_limits: Bounds of trust in prices.
        fresh_for: How long a price serves unattended work.
        first_looks: Tokens that were never asked for, about which one sync may ask for pools.
        most_described: Tokens whose names and decimals one sync may ask for; the next ones ask for the others.
        intervals: How often portfolios are read.
        sync_seconds: The longest that a sync may take.
        breaking: When circuit breakers open.
        breaker_keys: Those of all sources.
        repeats: How steps on the database are repeated.
        asking: Turns at asking for names and prices of tokens.
    """

    alchemy: Alchemy | None
    nodes: Mapping[int, EvmNode]
    binance: Binance
    coingecko: CoinGecko
    dexscreener: DexScreener
    defillama: DefiLlama
    executor: Executor
    price_limits: PriceLimits
    fresh_for: timedelta
    first_looks: int
    most_described: int
    intervals: Intervals
    sync_seconds: float
    breaking: BreakerRules
    breaker_keys: tuple[str, ...]
    repeats: Repeats
    asking: Turns = field(default_factory=Turns)


def process_sources(settings: Settings, engine: Engine) -> Sources:
    """The sources of this process, made once; a forked process makes its own connections."""
    return _process_sources(settings, engine, os.getpid())


@lru_cache(maxsize=4)
def _process_sources(settings: Settings, engine: Engine, _process_id: int) -> Sources:
    return open_sources(settings, engine)


def open_sources(settings: Settings, engine: Engine) -> Sources:
    """Clients of all providers that the settings name.

    Args:
        settings: Keys, addresses, limits.
        engine: The pipeline's database, where the limits are kept.
    """
    worker = settings.worker
    repeats = Repeats(worker.retries, worker.retry_delay_ms / 1000, worker.backoff)
    alchemy, prices = settings.alchemy, settings.prices
    keys = {chain.id: key.get_secret_value() for chain in CHAINS if (key := alchemy.key_for(chain.slug))}
    nodes = {chain.id: url.get_secret_value() for chain in CHAINS if (url := settings.nodes.url_for(chain.slug))}
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
            gate=ProviderGate(engine, provider, key or provider, per_minute, compute_units, patience_s, repeats),
            patience_s=patience_s,
            pool_size=_THREADS,
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
            http=client(
                "alchemy",
                alchemy.timeout_ms,
                alchemy.rate_limit_rpm,
                compute_units=alchemy.max_compute_units,
                patience_s=_BALANCES_WAIT,
                secrets=keys.values(),
            ),
            max_pages=settings.http.max_pages,
        )
        if keys
        else None,
        nodes={
            chain_id: EvmNode(
                chain_id,
                url,
                http=client("rpc", alchemy.timeout_ms, None, key=node_key(chain_id), patience_s=_BALANCES_WAIT),
            )
            for chain_id, url in nodes.items()
        },
        binance=Binance(
            prices.binance_base_url,
            http=client("binance", prices.binance_timeout_ms, prices.binance_weight_rpm, headers=binance_key),
        ),
        coingecko=CoinGecko(
            prices.coingecko_base_url,
            http=client(
                "coingecko",
                prices.coingecko_timeout_ms,
                prices.coingecko_rpm,
                headers=key_header(prices.coingecko_base_url, coingecko_key),
                secrets=[coingecko_key or ""],
            ),
            has_key=coingecko_key is not None,
        ),
        dexscreener=DexScreener(
            prices.dexscreener_base_url,
            http=client("dexscreener", prices.dexscreener_timeout_ms, prices.dexscreener_rpm),
        ),
        defillama=DefiLlama(
            prices.defillama_base_url,
            http=client("defillama", prices.defillama_timeout_ms, prices.defillama_rpm),
        ),
        executor=ContextPool(_THREADS, thread_name_prefix="provider"),
        price_limits=PriceLimits(
            disagreement_percent=prices.disagreement_percent,
            jump_factor=prices.jump_factor,
            far_factor=prices.far_factor,
            unconfirmed_usd=prices.unconfirmed_usd,
            liquidity_floor_usd=prices.liquidity_floor_usd,
            max_age=timedelta(milliseconds=prices.max_age_ms),
            stale_after=timedelta(milliseconds=prices.stale_limit_ms),
        ),
        fresh_for=timedelta(milliseconds=prices.fresh_for_ms),
        # As many as Alchemy's plan takes within its window of ten seconds, at ten compute units each.
        most_described=min(alchemy.max_compute_units, _MOST_DESCRIBED),
        first_looks=int(prices.dexscreener_rpm * _FIRST_LOOKS_SHARE) * ADDRESSES_A_CALL,
        intervals=intervals_of(settings.periodic),
        sync_seconds=worker.timeout_ms / 1000,
        breaking=BreakerRules(
            enabled=worker.breaker_enabled,
            threshold=worker.breaker_threshold,
            open_for=timedelta(milliseconds=worker.breaker_timeout_ms),
            # A probe is a part of a sync: after the longest that one takes, its prober is dead.
            lease=timedelta(milliseconds=worker.timeout_ms),
        ),
        breaker_keys=(
            *((ALCHEMY_DATA, ALCHEMY_PRICES) if keys else ()),
            *(chain_key(chain_id) for chain_id in keys),
            *(node_key(chain_id) for chain_id in nodes),
            BINANCE,
            COINGECKO,
            DEXSCREENER,
            DEFILLAMA,
        ),
        repeats=repeats,
    )
