"""Settings of the databases and of the broker."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from pydantic import SecretStr, field_validator

from moonx_pipeline.settings.fields import Bool, Group, Int, setting

_DRIVER = "postgresql+psycopg2"
_SCHEMES = frozenset({"postgres", "postgresql", _DRIVER, "postgresql+psycopg"})


def postgres_url(text: str) -> str:
    """Returns a PostgreSQL URL with the installed driver.

    Raises:
        ValueError: It is not a PostgreSQL URL.
    """
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        raise ValueError("must be a PostgreSQL URL such as postgresql://user:password@host:5432/name")
    if not parts.path.strip("/"):
        raise ValueError("names no database: postgresql://user:password@host:5432/name")
    return _DRIVER + text[len(parts.scheme) :]


class DatabaseSettings(Group):
    """PostgreSQL: by URL, by parts, or embedded where neither is set."""

    url_given: SecretStr | None = setting(
        None, "DATABASE_URL", about="The pipeline's database. Unset: DB_*; neither set: embedded under MOONX_HOME."
    )
    dagster_url_given: SecretStr | None = setting(
        None, "DAGSTER_DATABASE_URL", about="Dagster's storage. Unset: schema dagster of the pipeline's database."
    )
    host: str | None = setting(None, "DB_HOST", about="Host of the database.", shown_default="localhost")
    port: Int | None = setting(None, "DB_PORT", about="Port of the database.", ge=1, le=65535, shown_default="5432")
    name: str | None = setting(None, "DB_NAME", about="Name of the database.", shown_default="moonx_farm")
    user: str | None = setting(None, "DB_USER", about="User of the database.", shown_default="postgres")
    password: SecretStr | None = setting(None, "DB_PASSWORD", about="Password of the database's user.")
    worker_password: SecretStr | None = setting(
        None, "DB_WORKER_PASSWORD", about="Password that 'moonx migrate --roles' gives the role moonx_worker."
    )
    gateway_password: SecretStr | None = setting(
        None, "DB_GATEWAY_PASSWORD", about="Password that 'moonx migrate --roles' gives the role moonx_gateway."
    )
    relay_password: SecretStr | None = setting(
        None, "DB_RELAY_PASSWORD", about="Password that 'moonx migrate --roles' gives the role moonx_relay."
    )
    ssl: Bool = setting(False, "DB_SSL", about="Whether the connection must be encrypted.")
    max_connections: Int = setting(
        20, "DB_MAX_CONNECTIONS", unit="connections", about="Most connections of one process.", ge=1, le=500
    )
    min_connections: Int = setting(
        5,
        "DB_MIN_CONNECTIONS",
        unit="connections",
        about="Connections that a process keeps open once they were needed; a gateway keeps all.",
        ge=0,
        le=500,
    )
    idle_timeout_ms: Int = setting(
        30_000, "DB_IDLE_TIMEOUT", unit="ms", about="A transaction that idles longer is ended.", ge=1000
    )

    @field_validator("url_given", "dagster_url_given", mode="after")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        return SecretStr(postgres_url(value.get_secret_value())) if value else None

    @property
    def by_parts(self) -> bool:
        """Whether DB_* name the database."""
        return any(part is not None for part in (self.host, self.port, self.name, self.user, self.password))

    @property
    def url(self) -> SecretStr | None:
        """SQLAlchemy's URL of the database; ``None`` for the embedded one."""
        if self.url_given:
            return self.url_given
        if not self.by_parts:
            return None
        password = f":{quote(self.password.get_secret_value(), safe='')}" if self.password else ""
        login = f"{quote(self.user or 'postgres', safe='')}{password}"
        place = f"{self.host or 'localhost'}:{self.port or 5432}/{quote(self.name or 'moonx_farm', safe='')}"
        return SecretStr(f"{_DRIVER}://{login}@{place}{'?sslmode=require' if self.ssl else ''}")


class BrokerSettings(Group):
    """The broker of the workers."""

    celery_url: SecretStr | None = setting(
        None,
        "CELERY_BROKER_URL",
        about="Broker of the workers, such as rediss://:PASSWORD@HOST:6379/0 for an encrypted Redis; "
        "?ssl_ca_certs=FILE names who vouches for it. Unset: from REDIS_*; neither set: the database.",
    )
    redis_host: str | None = setting(None, "REDIS_HOST", about="Host of Redis.", shown_default="localhost")
    redis_port: Int = setting(6379, "REDIS_PORT", about="Port of Redis.", ge=1, le=65535)
    redis_password: SecretStr | None = setting(None, "REDIS_PASSWORD", about="Password of Redis.")
    redis_db: Int = setting(0, "REDIS_DB", about="Number of the Redis database.", ge=0)
    redis_connect_timeout_ms: Int = setting(
        10_000, "REDIS_CONNECT_TIMEOUT", unit="ms", about="Longest wait for a connection to Redis.", ge=1
    )
    redis_command_timeout_ms: Int = setting(
        5_000, "REDIS_COMMAND_TIMEOUT", unit="ms", about="Longest wait for an answer of Redis.", ge=1
    )
    redis_retry_delay_ms: Int = setting(
        100, "REDIS_RETRY_DELAY_ON_FAILOVER", "REDIS_RETRY_DELAY", unit="ms", about="Wait before a repeat.", ge=0
    )
    redis_max_retries: Int = setting(
        3, "REDIS_MAX_RETRIES_PER_REQUEST", "REDIS_MAX_RETRIES", about="Repeats of a command.", ge=0
    )

    @property
    def url(self) -> SecretStr | None:
        """Celery's URL of the broker; ``None`` if the database is the broker."""
        if self.celery_url or not self.redis_host:
            return self.celery_url
        password = f":{quote(self.redis_password.get_secret_value(), safe='')}@" if self.redis_password else ""
        return SecretStr(f"redis://{password}{self.redis_host}:{self.redis_port}/{self.redis_db}")
