"""Rules over several settings: what contradicts itself, and what is unsafe in production."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from moonx_pipeline.settings.load import Settings

SHORTEST_SECRET: Final = 32
"""The least bytes of a secret for HS256 (RFC 7518, 3.2)."""


def broken_rules(settings: Settings) -> Iterator[str]:
    """What is wrong with the settings together, one sentence each."""
    gateway = settings.gateway
    if gateway.jwt_secret and gateway.jwt_jwks_url:
        yield "JWT_SECRET and JWT_JWKS_URL name two kinds of keys: set one of them."
    if settings.service.env != "production":
        return
    yield from _unsafe_sources(settings)
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


def missing_for_gateway(settings: Settings) -> str | None:
    """Why the gateway does not start with these settings, though every other part does; ``None`` if it does."""
    gateway = settings.gateway
    if settings.service.env != "production" or gateway.jwt_secret or gateway.jwt_jwks_url:
        return None
    return (
        "The gateway does not start in production without a key that tokens are checked by: "
        "set JWT_SECRET, or JWT_JWKS_URL."
    )


def weak_secret(settings: Settings) -> str | None:
    """Why the tokens' secret is too weak; ``None`` if it is not, or none is set."""
    secret = settings.gateway.jwt_secret
    if secret is None or len(secret.get_secret_value().encode()) >= SHORTEST_SECRET:
        return None
    size = len(secret.get_secret_value().encode())
    return f"JWT_SECRET has {size} bytes; {SHORTEST_SECRET} are the least that HS256 needs."


def _unsafe_sources(settings: Settings) -> Iterator[str]:
    if not any(settings.alchemy.key_for(chain.slug) or settings.nodes.url_for(chain.slug) for chain in settings.chains):
        yield "In production a source of balances is needed: set ALCHEMY_API_KEY, or RPC_URL_ETHEREUM and the others."
    database = settings.database
    if database.by_parts and not database.url_given:
        password = database.password.get_secret_value() if database.password else ""
        if password in ("", "password"):
            yield "In production DB_PASSWORD must be set, and not to 'password'."


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
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
