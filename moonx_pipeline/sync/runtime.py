"""What syncs work with, made once per process: the database, provider clients, and the rules."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from sqlalchemy import Engine

from moonx_pipeline.domain.chains import Chain
from moonx_pipeline.domain.price_limits import PriceLimits
from moonx_pipeline.domain.schedule import Intervals
from moonx_pipeline.providers.dexscreener import ADDRESSES_A_CALL
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.retries import Database, RetryPolicy
from moonx_pipeline.sync.clients import Providers, open_providers
from moonx_pipeline.sync.intervals import intervals_of
from moonx_pipeline.sync.protection.breakers import BreakerRules

_MOST_DESCRIBED = 5000

_FIRST_LOOKS_SHARE = 0.7
"""The share of DexScreener's limit per minute that first looks at a large wallet may take."""


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
    return Runtime(database, open_providers(settings, database), sync_policy(settings))


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
