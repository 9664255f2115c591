"""Settings of the service as a whole, of the gateway and of monitoring."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from moonx_pipeline.settings.fields import Bool, Group, Int, Url, setting


class ServiceSettings(Group):
    """The service as a whole."""

    env: Literal["development", "production"] = setting(
        "development", "MOONX_ENV", "NODE_ENV", about="In production, unsafe settings are errors."
    )
    home: Path = setting(Path(".moonx"), "MOONX_HOME", about="State of the embedded parts.")
    log_level: Literal["debug", "info", "warn", "warning", "error"] = setting(
        "info", "LOG_LEVEL", about="The least severe lines that are logged."
    )
    log_format: Literal["auto", "json", "console"] = setting(
        "auto", "LOG_FORMAT", about="Lines as JSON, or for people; auto asks whether a person looks."
    )
    graphql_url: Url | None = setting(
        None, "DAGSTER_GRAPHQL_URL", about="Dagster's GraphQL: a request starts its run at once."
    )
    webserver_port: Int = setting(3000, "WEBSERVER_PORT", about="Port of Dagster's pages.", ge=1, le=65535)
    simulator_port: Int = setting(8900, "SIMULATOR_PORT", about="Port of the simulator.", ge=0, le=65535)
    history_months: Int = setting(
        13, "HISTORY_RETENTION_MONTHS", unit="months", about="How long snapshots of portfolios are kept.", ge=1
    )
    operation_days: Int = setting(
        90, "OPERATION_RETENTION_DAYS", unit="days", about="How long ended operations and requests are kept.", ge=1
    )
    run_days: Int = setting(
        14, "DAGSTER_RETENTION_DAYS", unit="days", about="How long ended Dagster runs and their events are kept.", ge=1
    )


class GatewaySettings(Group):
    """API, page and Socket.IO."""

    port: Int = setting(3007, "GATEWAY_PORT", about="Port of API, page and Socket.IO.", ge=0, le=65535)
    jwt_secret: SecretStr | None = setting(None, "JWT_SECRET", about="Secret of HS256 tokens.")
    jwt_jwks_url: Url | None = setting(None, "JWT_JWKS_URL", about="Public keys of tokens.")
    jwt_audience: str | None = setting(None, "JWT_AUDIENCE", about="Audience that tokens must name.")
    jwt_issuer: str | None = setting(None, "JWT_ISSUER", about="Issuer that tokens must name.")
    rate_window_ms: Int = setting(900_000, "RATE_LIMIT_WINDOW", unit="ms", about="Window of API requests.", ge=1)
    rate_max: Int = setting(
        100, "RATE_LIMIT_MAX_REQUESTS", unit="requests", about="API requests of one address in it.", ge=1
    )


class MonitoringSettings(Group):
    """Health and metrics."""

    metrics_port: Int = setting(
        3001, "METRICS_PORT", "PORT", about="Port of a worker's health and metrics.", ge=0, le=65535
    )
    health_checks: Bool = setting(True, "MONITORING_ENABLE_HEALTH_CHECKS", about="Whether health is served.")
    prometheus: Bool = setting(True, "MONITORING_ENABLE_PROMETHEUS", about="Whether metrics are served.")
    health_interval_ms: Int = setting(
        30_000, "MONITORING_HEALTH_CHECK_INTERVAL", unit="ms", about="How often dependencies are looked at.", ge=1000
    )
    metrics_interval_ms: Int = setting(
        15_000, "MONITORING_METRICS_INTERVAL", unit="ms", about="How often gauges are read.", ge=1000
    )
