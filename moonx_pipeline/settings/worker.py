"""Settings of workers and of unattended syncs."""

from __future__ import annotations

import os

from pydantic import field_validator

from moonx_pipeline.settings.fields import Bool, Float, Group, Int, setting

_PROCESSES = max(2, min(50, 2 * (os.cpu_count() or 1)))


class WorkerSettings(Group):
    """How syncs are run, repeated and limited."""

    concurrency: Int = setting(
        _PROCESSES,
        "WORKER_CONCURRENCY",
        unit="processes",
        about="Processes of a worker: each carries one run at a time, and half of a run is waiting for providers.",
        ge=1,
        le=50,
        shown_default="two a core",
    )
    max_jobs: Int = setting(100, "WORKER_MAX_JOBS", unit="runs", about="A process is replaced after so many.", ge=1)
    timeout_ms: Int = setting(
        60_000, "WORKER_TIMEOUT", unit="ms", about="Longest time of one user's sync.", ge=5000, le=600_000
    )
    retries: Int = setting(
        3,
        "WORKER_RETRIES",
        about="Tries of a sync's step on the database, the first included; calls have ALCHEMY_RETRIES.",
        ge=1,
        le=10,
    )
    retry_delay_ms: Int = setting(
        5000, "WORKER_RETRY_DELAY", unit="ms", about="Longest wait before the second try; each wait is random.", ge=0
    )
    backoff: Float = setting(
        2.0, "WORKER_BACKOFF_MULTIPLIER", unit="x", about="How the longest wait grows with each try.", ge=1
    )
    breaker_enabled: Bool = setting(True, "ENABLE_CIRCUIT_BREAKER", about="Whether circuit breakers are asked.")
    breaker_threshold: Int = setting(
        5, "WORKER_CIRCUIT_BREAKER_THRESHOLD", unit="failures", about="Failures in a row that open a breaker.", ge=1
    )
    breaker_timeout_ms: Int = setting(
        60_000, "WORKER_CIRCUIT_BREAKER_TIMEOUT", unit="ms", about="How long a breaker stays open.", ge=1
    )
    rate_window_ms: Int = setting(
        900_000, "WORKER_RATE_LIMIT_WINDOW", unit="ms", about="Window of a person's sync requests.", ge=1
    )
    rate_max: Int = setting(5, "WORKER_RATE_LIMIT_MAX", unit="syncs", about="Requests of a person in it.", ge=1)
    batch_size: Int = setting(
        50, "WORKER_BATCH_SIZE", unit="requests", about="Requests whose runs are started at once.", ge=1, le=1000
    )
    shutdown_timeout_ms: Int = setting(
        30_000, "CLUSTER_SHUTDOWN_TIMEOUT", unit="ms", about="How long a stopping worker may finish its runs.", ge=0
    )
    max_memory_mb: Int = setting(
        512, "MAX_MEMORY_USAGE", unit="MB", about="A worker process above it is replaced.", ge=64
    )


class PeriodicSettings(Group):
    """Unattended syncs."""

    enabled: Bool = setting(True, "PERIODIC_SYNC_ENABLED", about="Whether portfolios are synced unattended.")
    market_hours_ms: Int = setting(
        300_000, "PERIODIC_SYNC_MARKET_HOURS_INTERVAL", unit="ms", about="Interval from 9 to 17 UTC.", ge=1000
    )
    off_hours_ms: Int = setting(
        900_000, "PERIODIC_SYNC_OFF_HOURS_INTERVAL", unit="ms", about="Interval at other times.", ge=1000
    )
    stale_ms: Int = setting(
        3_600_000, "PERIODIC_SYNC_STALE_THRESHOLD", unit="ms", about="Older than this comes first.", ge=1000
    )
    batch_size: Int = setting(
        180,
        "PERIODIC_SYNC_BATCH_SIZE",
        unit="users",
        about="Users of a micro-batch, who share bulk readings and a transaction.",
        ge=1,
        le=1000,
    )
    full_read_ms: Int = setting(
        21_600_000,
        "FULL_READ_INTERVAL",
        unit="ms",
        about="How often the tokens of a wallet are listed anew; in between, sweeps read in bulk what is known and "
        "what was received.",
        ge=0,
    )
    high_value_usd: Int = setting(
        10_000, "PERIODIC_SYNC_HIGH_VALUE_THRESHOLD", unit="USD", about="Portfolios of this value come first.", ge=0
    )
    cron: str = setting(
        "*/5 * * * *",
        "PERIODIC_SYNC_CRON_PATTERN",
        about="When the schedule of market hours looks for due users; every hour of the day.",
    )
    max_users: Int = setting(
        0, "PERIODIC_SYNC_MAX_USERS", unit="users", about="Most users of one sweep; 0 is no limit.", ge=0
    )
    shards: Int = setting(
        1,
        "PERIODIC_SYNC_SHARDS",
        unit="sweeps",
        about="Sweeps side by side, each of its share of the users; each takes a process of a worker.",
        ge=1,
        le=64,
    )

    @field_validator("cron", mode="after")
    @classmethod
    def _is_of_every_hour(cls, value: str) -> str:
        fields = value.split()
        if len(fields) != 5 or fields[1:] != ["*", "*", "*", "*"]:
            raise ValueError("must be minutes of every hour, such as '*/5 * * * *'")
        return value
