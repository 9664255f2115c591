"""The providers as one process uses them: one client each, shared by all of its syncs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from moonx_pipeline.domain.chains import CHAINS
from moonx_pipeline.domain.pricing import PriceLimits
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.binance import Binance
from moonx_pipeline.providers.coingecko import CoinGecko
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
