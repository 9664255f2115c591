"""Names of environment variables: ours, those without meaning here, and mistyped ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

NO_MEANING: Final = {
    "REDIS_ENABLE_READY_CHECK": "Celery's connection looks after it.",
    "REDIS_LAZY_CONNECT": "Connections are always made when they are first needed.",
    "KAFKA_PRODUCER_TRANSACTION_TIMEOUT": "The producer is idempotent and uses no transactions.",
    "KAFKA_MAX_CONNECTIONS": "The producer keeps one connection a broker.",
    "KAFKA_ENABLE_METRICS": "MONITORING_ENABLE_PROMETHEUS holds for all metrics.",
    "KAFKA_LOG_LEVEL": "LOG_LEVEL holds for all lines.",
    "BINANCE_API_SECRET": "Public prices are not signed.",
    "CLUSTER_MODE": "A worker is one process with WORKER_CONCURRENCY children; replicas are the platform's matter.",
    "CLUSTER_WORKERS": "Replicas of the worker are the platform's matter.",
    "MIN_WORKERS": "Replicas of the worker are the platform's matter.",
    "MAX_WORKERS": "Replicas of the worker are the platform's matter.",
    "AUTO_SCALE": "Replicas of the worker are the platform's matter.",
    "CPU_THRESHOLD": "The platform scales by it.",
    "CLUSTER_HEALTH_CHECK_INTERVAL": "A lost worker is noticed by its lock in the database.",
    "CLUSTER_STATS_INTERVAL": "Metrics are read when they are asked for.",
    "WORKER_STATS_INTERVAL": "Metrics are read when they are asked for.",
    "WORKER_CLEANUP_INTERVAL": "Lost work is looked for every five seconds.",
    "CACHE_MAX_SIZE": "Prices and metadata are cached in the database.",
    "CACHE_CLEANUP_INTERVAL": "Prices and metadata are cached in the database.",
    "ENABLE_CACHE_WARMING": "Prices and metadata are cached in the database.",
    "MONITORING_PROMETHEUS_PORT": "METRICS_PORT serves health and metrics.",
    "MONITORING_MEMORY_THRESHOLD": "Alerts are Prometheus rules.",
    "MONITORING_CPU_THRESHOLD": "Alerts are Prometheus rules.",
    "MONITORING_FAILURE_RATE_THRESHOLD": "Alerts are Prometheus rules.",
    "MONITORING_RESPONSE_TIME_THRESHOLD": "Alerts are Prometheus rules.",
}
"""Variables of the previous system that are accepted and do nothing, with the reason."""

_OURS = (
    "ALCHEMY_", "BINANCE_", "CACHE_", "CHAIN", "CLUSTER_", "COINGECKO_", "DAGSTER_DATABASE_", "DAGSTER_GRAPHQL_",
    "DAGSTER_RETENTION_", "DATABASE_", "DB_", "DEFILLAMA_", "DEXSCREENER_", "EVIDENCE_", "GATEWAY_", "JWT_", "KAFKA_",
    "METRICS_", "MONITORING_", "MOONX_", "OPERATION_", "PERIODIC_SYNC_", "PRICE_", "PROVIDER_", "RATE_LIMIT_",
    "REDIS_", "RELAY_METRICS_", "RPC_URL_", "TOKEN_LIST", "WORKER_",
)  # fmt: skip
_ELSEWHERE = frozenset({"CHAIN", "MOONX_ENV_FILE", "REDIS_URL"})
"""Variables of other programs; ``CHAIN`` comes from ``make demo CHAIN=anvil``."""
_NEAR: Final = 0.82
_VERY_NEAR: Final = 0.9


def mistyped(given: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Variables that look like mistyped settings, with the nearest right name.

    A variable that is near no setting belongs to another program and is ignored; so is one with a beginning that is not
    ours, unless the beginning itself looks mistyped.
    """
    wrong = {}
    for name in given:
        if name in known or name in NO_MEANING or name in _ELSEWHERE:
            continue
        is_ours = name.startswith(_OURS)
        near = get_close_matches(name, known, n=1, cutoff=_NEAR if is_ours else _VERY_NEAR)
        if near and (is_ours or _mistypes_beginning(name, near[0])):
            wrong[name] = near[0]
    return wrong


def _mistypes_beginning(name: str, right: str) -> bool:
    beginning, wanted = name.partition("_")[0], right.partition("_")[0]
    return beginning != wanted and bool(get_close_matches(beginning, [wanted], cutoff=_NEAR))
