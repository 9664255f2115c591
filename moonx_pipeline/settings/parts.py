"""Which part of the system reads which secret: the only place that says so.

The chart, the Compose file and the reference of settings follow it, so that the environment of a container holds the
secrets of its own part and no others. Settings that are no secrets are given to all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PARTS: Final = ("gateway", "relay", "worker", "code-server", "webserver", "daemon", "migrate")
"""The parts, by their names in the Compose file. A run in a pod of its own is a worker."""

_EXECUTE: Final = ("worker",)
_LAUNCH: Final = ("worker", "code-server", "webserver", "daemon")
"""Dagster's parts: sensors and schedules run in the code server, and the other two start and end runs."""

_TRACE: Final = ("gateway", "relay", "worker", "code-server")
_PUBLISH: Final = ("gateway", "relay", "worker")
"""The gateway reads the stream; a worker publishes where no relay runs."""

READERS: Final[Mapping[str, tuple[str, ...]]] = {
    "DATABASE_URL": PARTS,
    "DAGSTER_DATABASE_URL": _LAUNCH,
    "DB_PASSWORD": PARTS,
    "DB_WORKER_PASSWORD": ("migrate",),
    "DB_GATEWAY_PASSWORD": ("migrate",),
    "DB_RELAY_PASSWORD": ("migrate",),
    "CELERY_BROKER_URL": _LAUNCH,
    "REDIS_PASSWORD": _LAUNCH,
    "KAFKA_SASL_PASSWORD": _PUBLISH,
    "ALCHEMY_API_KEY": _EXECUTE,
    "ALCHEMY_API_KEY_{CHAIN}": _EXECUTE,
    # Sweeps rely on webhooks of networks that have a key; only the gateway checks a signature by it.
    "ALCHEMY_WEBHOOK_SIGNING_KEY": ("gateway", "worker"),
    "ALCHEMY_WEBHOOK_SIGNING_KEY_{CHAIN}": ("gateway", "worker"),
    "RPC_URL_{CHAIN}": _EXECUTE,
    "BINANCE_API_KEY": _EXECUTE,
    "COINGECKO_API_KEY": _EXECUTE,
    "DEXSCREENER_API_KEY": (),
    "JWT_SECRET": ("gateway",),
    "OTEL_EXPORTER_OTLP_HEADERS": _TRACE,
}
"""The parts that read each secret, by its first name; of a setting of each chain, by its template."""
