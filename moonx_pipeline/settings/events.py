"""Settings of the event stream."""

from __future__ import annotations

from typing import Literal

from pydantic import SecretStr

from moonx_pipeline.settings.fields import Bool, Certificates, Group, Hosts, Int, setting


class KafkaSettings(Group):
    """Kafka; without brokers, events stay in the outbox and are read from there."""

    brokers: Hosts = setting((), "KAFKA_BROKERS", about="Brokers as host:port, with commas between.")
    client_id: str = setting("sync-worker-publisher", "KAFKA_CLIENT_ID", about="Name of the producer.")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = setting(
        "PLAIN", "KAFKA_SASL_MECHANISM", about="How the user proves himself, where one is set."
    )
    sasl_username: str | None = setting(None, "KAFKA_SASL_USERNAME", "KAFKA_USERNAME", about="User.")
    sasl_password: SecretStr | None = setting(None, "KAFKA_SASL_PASSWORD", "KAFKA_PASSWORD", about="His password.")
    ssl: Bool = setting(False, "KAFKA_SSL", about="Whether connections are encrypted.")
    ssl_authorities: Certificates | None = setting(
        None, "KAFKA_SSL_CA", about="Certificates (PEM) of who may vouch for brokers; unset: whom the system trusts."
    )
    connection_timeout_ms: Int = setting(
        1000, "KAFKA_CONNECTION_TIMEOUT", unit="ms", about="Longest wait for a connection.", ge=100
    )
    request_timeout_ms: Int = setting(
        5000, "KAFKA_REQUEST_TIMEOUT", unit="ms", about="Longest wait for an acknowledgement.", ge=100
    )
    retry_initial_delay_ms: Int = setting(
        100, "KAFKA_RETRY_INITIAL_DELAY", "KAFKA_RETRY_INITIAL_TIME", unit="ms", about="Wait before a repeat.", ge=1
    )
    retry_max_delay_ms: Int = setting(
        1000, "KAFKA_RETRY_MAX_DELAY", unit="ms", about="Longest wait before a repeat.", ge=1
    )
    retries: Int = setting(
        3, "KAFKA_RETRY_RETRIES", "KAFKA_RETRY_COUNT", about="Repeats of one send before the relay starts over.", ge=0
    )
    max_in_flight: Int = setting(
        1, "KAFKA_PRODUCER_MAX_IN_FLIGHT", about="Requests under way to one broker.", ge=1, le=5
    )
    idempotent: Bool = setting(True, "KAFKA_PRODUCER_IDEMPOTENT", about="Whether the broker drops repeated sends.")
    compression: Literal["gzip", "snappy", "lz4", "zstd", "none"] = setting(
        "gzip", "KAFKA_COMPRESSION", about="Compression of what is sent."
    )
    idle_timeout_ms: Int = setting(
        300_000, "KAFKA_IDLE_TIMEOUT", unit="ms", about="An idle connection is closed after it.", ge=1000
    )
    topic_portfolio_updates: str = setting(
        "portfolio.updates", "KAFKA_TOPIC_PORTFOLIO_UPDATES", about="Topic of changed portfolios."
    )
    topic_sync_events: str = setting("sync.events", "KAFKA_TOPIC_SYNC_EVENTS", about="Topic of syncs.")
    topic_system_alerts: str = setting("system.alerts", "KAFKA_TOPIC_SYSTEM_ALERTS", about="Topic of alerts.")
    topic_user_activities: str = setting(
        "user.activities", "KAFKA_TOPIC_USER_ACTIVITIES", about="Topic of users' activity."
    )
    retention_days: Int = setting(
        30, "EVENT_RETENTION_DAYS", unit="days", about="How long published events are kept for replay.", ge=1
    )
