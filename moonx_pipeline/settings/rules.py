"""Rules over several settings: what contradicts itself, and what is unsafe in production."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from moonx_pipeline.settings.load import Settings

SHORTEST_SECRET: Final = 32
"""The least bytes of a secret for HS256 (RFC 7518, 3.2)."""


_ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})
"""Values of ``sslmode`` by which PostgreSQL's client talks to nobody in clear."""


def broken_rules(settings: Settings) -> Iterator[str]:
    """What is wrong with the settings together, one sentence each; no part needs a secret that it does not read."""
    gateway = settings.gateway
    if gateway.jwt_secret and gateway.jwt_jwks_url:
        yield "JWT_SECRET and JWT_JWKS_URL name two kinds of keys: set one of them."
    if settings.service.env != "production":
        return
    yield from _unsafe_database(settings)
    yield from _unsafe_sign_in(settings)
    if "*" in [address.strip() for address in gateway.trusted_proxies.split(",")]:
        yield (
            "In production GATEWAY_TRUSTED_PROXIES must name the proxies, as addresses or networks: "
            "with * everybody chooses the address that is counted against."
        )
    kafka = settings.kafka
    if kafka.brokers and kafka.sasl_password and kafka.sasl_mechanism == "PLAIN" and not kafka.ssl:
        yield (
            "In production KAFKA_SASL_MECHANISM=PLAIN needs KAFKA_SSL=true: "
            "else the password goes over the network as it is. Or use SCRAM-SHA-512."
        )


def warnings_of(settings: Settings) -> Iterator[str]:
    """What is unsafe in production where others are in the network, and is not refused; one sentence each."""
    if settings.service.env != "production":
        return
    database = settings.database
    by_url = "add ?sslmode=require to"
    for part, url, remedy in (
        ("database", database.url, f"{by_url} DATABASE_URL" if database.url_given else "set DB_SSL=true"),
        ("database", database.dagster_url_given, f"{by_url} DAGSTER_DATABASE_URL"),
        ("Redis", settings.broker.url, "set CELERY_BROKER_URL=rediss://…"),
    ):
        if url is not None and (host := _host_in_clear(url.get_secret_value())):
            yield (
                f"Everybody in the network between reads what goes to the {part} at {host}: {remedy}, "
                "unless that network is your own."
            )


def missing_for_gateway(settings: Settings) -> str | None:
    """Why the gateway does not start with these settings, though other parts do; ``None`` if it does."""
    gateway = settings.gateway
    if settings.service.env != "production" or gateway.jwt_secret or gateway.jwt_jwks_url:
        return None
    return (
        "The gateway does not start in production without a key that tokens are checked by: "
        "set JWT_SECRET, or JWT_JWKS_URL."
    )


def missing_for_worker(settings: Settings) -> str | None:
    """Why workers do not start with these settings, though other parts do; ``None`` if they do."""
    if settings.service.env != "production" or has_source(settings):
        return None
    return (
        "Workers do not start in production without a source of balances: "
        "set ALCHEMY_API_KEY, or RPC_URL_ETHEREUM and the others."
    )


def has_source(settings: Settings) -> bool:
    """Whether any chain's balances can be read."""
    return any(settings.alchemy.key_for(chain.slug) or settings.nodes.url_for(chain.slug) for chain in settings.chains)


def weak_secret(settings: Settings) -> str | None:
    """Why the tokens' secret is too weak; ``None`` if it is not, or none is set."""
    secret = settings.gateway.jwt_secret
    if secret is None or len(secret.get_secret_value().encode()) >= SHORTEST_SECRET:
        return None
    size = len(secret.get_secret_value().encode())
    return f"JWT_SECRET has {size} bytes; {SHORTEST_SECRET} are the least that HS256 needs."


def _unsafe_database(settings: Settings) -> Iterator[str]:
    database = settings.database
    if database.url is None:
        yield "In production the embedded database is not used: set DB_HOST, DB_USER and DB_PASSWORD, or DATABASE_URL."
    elif not database.url_given:
        password = database.password.get_secret_value() if database.password else ""
        if password in ("", "password"):
            yield "In production DB_PASSWORD must be set, and not to 'password'."


def _host_in_clear(url: str) -> str | None:
    """The other machine to which a URL may connect without encryption."""
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    host = parts.hostname or options.get("host", [""])[0]
    is_encrypted = parts.scheme == "rediss" or options.get("sslmode", [""])[0] in _ENCRYPTED
    return None if is_encrypted or _is_this_machine(host) else host


def _unsafe_sign_in(settings: Settings) -> Iterator[str]:
    gateway = settings.gateway
    if weak := weak_secret(settings):
        yield f"In production {weak}"
    if (gateway.jwt_secret or gateway.jwt_jwks_url) and not gateway.jwt_audience:
        yield "In production JWT_AUDIENCE is needed: else tokens that were made for other applications are accepted."
    if gateway.jwt_jwks_url and not gateway.jwt_issuer:
        yield "In production JWT_JWKS_URL needs JWT_ISSUER beside it: whose tokens are accepted."
    if gateway.jwt_jwks_url and not _is_private(gateway.jwt_jwks_url):
        yield "In production JWT_JWKS_URL must be https: one who changes the keys on their way signs in as anybody."


def _is_private(url: str) -> bool:
    """Whether nobody on a network can change what it answers: encrypted, or of this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_this_machine(parts.hostname or "")


def _is_this_machine(host: str) -> bool:
    """Whether a host is reached without a network: by name, by address, or as the folder of a socket."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
