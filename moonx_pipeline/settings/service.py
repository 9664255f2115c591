"""Settings of the service as a whole, of the gateway, of monitoring and of traces."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from pydantic import SecretStr, field_validator

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, KNOWN_CHAINS
from moonx_pipeline.settings.chains import Chains
from moonx_pipeline.settings.fields import Bool, Float, Group, Int, Names, Url, setting


class ServiceSettings(Group):
    """The service as a whole."""

    env: Literal["development", "production"] = setting(
        "development", "MOONX_ENV", "NODE_ENV", about="In production, unsafe settings are errors."
    )
    chains: Chains = setting(
        DEFAULT_CHAINS,
        "CHAINS",
        about=f"Chains to read, with commas between, of {', '.join(chain.slug for chain in KNOWN_CHAINS)}.",
        shown_default=",".join(chain.slug for chain in DEFAULT_CHAINS),
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
    webserver_hosts: Names = setting(
        (),
        "WEBSERVER_HOSTS",
        about="Further names that Dagster's webserver is asked by, with commas between, besides those in "
        "DAGSTER_GRAPHQL_URL and GATEWAY_DAGSTER_URL; of others, requests are refused.",
    )
    simulator_port: Int = setting(8900, "SIMULATOR_PORT", about="Port of the simulator.", ge=0, le=65535)
    history_months: Int = setting(
        13, "HISTORY_RETENTION_MONTHS", unit="months", about="How long snapshots of portfolios are kept.", ge=1
    )
    operation_days: Int = setting(
        90, "OPERATION_RETENTION_DAYS", unit="days", about="How long ended operations and requests are kept.", ge=1
    )
    evidence_days: Int = setting(
        10,
        "EVIDENCE_RETENTION_DAYS",
        unit="days",
        about="How long it is kept what each changed portfolio was valued by; 'moonx explain' shows it.",
        ge=1,
    )
    run_days: Int = setting(
        14, "DAGSTER_RETENTION_DAYS", unit="days", about="How long ended Dagster runs and their events are kept.", ge=1
    )


class GatewaySettings(Group):
    """API, page and Socket.IO."""

    host: str = setting("127.0.0.1", "GATEWAY_HOST", about="Address that the gateway listens on; 0.0.0.0 is all.")
    port: Int = setting(3007, "GATEWAY_PORT", about="Port of API, page and Socket.IO.", ge=0, le=65535)
    jwt_secret: SecretStr | None = setting(
        None, "JWT_SECRET", about="Secret of HS256 tokens. Unset in development: one of this machine's own."
    )
    jwt_jwks_url: Url | None = setting(
        None, "JWT_JWKS_URL", about="Public keys of tokens, instead of a secret; https in production."
    )
    jwt_audience: str | None = setting(
        None, "JWT_AUDIENCE", about="Audience that tokens must name; needed in production."
    )
    jwt_issuer: str | None = setting(
        None, "JWT_ISSUER", about="Issuer that tokens must name; needed in production beside JWT_JWKS_URL."
    )
    user_rate_max: Int = setting(
        600, "GATEWAY_USER_MAX_REQUESTS", unit="requests/min", about="API requests of one user.", ge=1
    )
    rate_window_ms: Int = setting(
        900_000, "RATE_LIMIT_WINDOW", unit="ms", about="Window of requests without a valid token.", ge=1000
    )
    rate_max: Int = setting(
        100,
        "RATE_LIMIT_MAX_REQUESTS",
        unit="requests",
        about="Requests without a valid token, of one address within that window.",
        ge=1,
    )
    max_body_bytes: Int = setting(
        1_000_000, "GATEWAY_MAX_BODY_BYTES", unit="bytes", about="Largest body of a request.", ge=1024
    )
    cors_origins: Names = setting(
        (), "GATEWAY_CORS_ORIGINS", about="Pages of other origins that may use the API, with commas between."
    )
    trusted_proxies: str = setting(
        "127.0.0.1",
        "GATEWAY_TRUSTED_PROXIES",
        about="Proxies whose X-Forwarded-For is believed, as addresses or networks.",
    )
    logo_hosts: Names = setting(
        ("static.alchemyapi.io", "assets.coingecko.com", "coin-images.coingecko.com", "cdn.dexscreener.com"),
        "GATEWAY_LOGO_HOSTS",
        about="Hosts that logos of tokens are fetched from, with commas between.",
        shown_default="those of Alchemy, CoinGecko and DexScreener",
    )
    dagster_url: Url | None = setting(
        None,
        "GATEWAY_DAGSTER_URL",
        about="Where operators find Dagster's pages, for links.",
        shown_default="in development this machine's, by WEBSERVER_PORT",
    )


class MonitoringSettings(Group):
    """Health and metrics."""

    host: str = setting(
        "127.0.0.1",
        "METRICS_HOST",
        about="Address that workers, relays and GATEWAY_METRICS_PORT serve both on; 0.0.0.0 is all.",
    )
    metrics_port: Int | None = setting(
        None,
        "METRICS_PORT",
        "PORT",
        about="Port of a worker's metrics and health. Unset, the next free one where it is taken.",
        ge=0,
        le=65535,
        shown_default="3001",
    )
    relay_metrics_port: Int | None = setting(
        None,
        "RELAY_METRICS_PORT",
        about="The same of a relay.",
        ge=0,
        le=65535,
        shown_default="3002",
    )
    gateway_metrics_port: Int | None = setting(
        None,
        "GATEWAY_METRICS_PORT",
        about="Port of a gateway's metrics and readiness, which the API's port then answers no more. Unset, they are "
        "on GATEWAY_PORT, for everybody who reaches it.",
        ge=0,
        le=65535,
        shown_default="that of the API",
    )
    health_checks: Bool = setting(True, "MONITORING_ENABLE_HEALTH_CHECKS", about="Whether health is served.")
    prometheus: Bool = setting(True, "MONITORING_ENABLE_PROMETHEUS", about="Whether metrics are served.")
    health_interval_ms: Int = setting(
        30_000,
        "MONITORING_HEALTH_CHECK_INTERVAL",
        unit="ms",
        about="How often a process looks by itself at what it stands on, and logs what is lost.",
        ge=1000,
    )
    metrics_interval_ms: Int = setting(
        15_000, "MONITORING_METRICS_INTERVAL", unit="ms", about="How often gauges are read from the database.", ge=1000
    )
    monthly_compute_units: Int | None = setting(
        None,
        "ALCHEMY_MONTHLY_COMPUTE_UNITS",
        unit="compute units",
        about="A month of Alchemy's plan: where it is known, an alert says that it won't last.",
        ge=1,
    )


class TracingSettings(Group):
    """Traces, by OpenTelemetry."""

    endpoint: Url | None = setting(
        None,
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        about="Collector that traces are sent to, by OTLP over HTTP, such as http://collector:4318. Unset: no traces.",
    )
    headers: SecretStr | None = setting(
        None, "OTEL_EXPORTER_OTLP_HEADERS", about="Sent with them, such as a login: name=value, with commas between."
    )
    service_name: str | None = setting(
        None, "OTEL_SERVICE_NAME", about="The service that they are of.", shown_default="moonx-worker and the like"
    )
    share: Float = setting(
        1.0, "OTEL_TRACES_SAMPLER_ARG", about="Share of the traces begun here that is recorded, 0 to 1.", ge=0, le=1
    )

    @field_validator("headers")
    @classmethod
    def _are_pairs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all("=" in pair for pair in value.get_secret_value().split(",") if pair.strip()):
            raise ValueError("must be name=value, or several with commas between")
        return value

    def header_values(self) -> dict[str, str]:
        """The headers by name, decoded: OpenTelemetry percent-encodes them."""
        text = self.headers.get_secret_value() if self.headers else ""
        pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
        return {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs}
