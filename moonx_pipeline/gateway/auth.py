"""Verifies tokens and reads the caller from them.

Tokens are JSON Web Tokens (RFC 7519). The configured key alone decides which algorithms count, never the token's
header: so neither ``alg: none`` nor a public key used as a secret gets through (RFC 8725, 3.1).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import jwt
import structlog

from moonx_pipeline.domain.users import InvalidUserId, parse_user_id
from moonx_pipeline.errors import OperatorError, WrongUse
from moonx_pipeline.settings import Settings

CLOCK_SKEW: Final = timedelta(seconds=30)
"""The largest difference between the clocks of the token issuer and of this machine."""

_LONGEST_TOKEN: Final = 8192
_SHORTEST_SECRET: Final = 32
_REFRESH_SECONDS: Final = 10.0
"""The key set is fetched for unknown key ids at most this often, whatever ids tokens name."""

_PUBLIC_KEY_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_log = structlog.get_logger("auth")


class Caller(NamedTuple):
    """The user who calls.

    Attributes:
        user_id: The token's ``sub``.
        is_admin: Whether its ``role`` is ``admin``.
        expires_at: When the token expires.
    """

    user_id: str
    is_admin: bool
    expires_at: datetime


class InvalidToken(Exception):
    """A token that is not accepted.

    Attributes:
        code: ``unauthorized`` or ``token_expired``.
    """

    def __init__(self, message: str, code: str = "unauthorized") -> None:
        super().__init__(message)
        self.code = code


class KeysUnavailable(Exception):
    """The keys to verify tokens with can't be read now."""


class _Keys(Protocol):
    def key_of(self, token: str) -> tuple[Any, str]:
        """The key and the algorithm that a token must be signed with."""


class _Secret:
    """One shared secret, HS256."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def key_of(self, token: str) -> tuple[str, str]:
        return self._secret, "HS256"


class _PublishedKeys:
    """A JSON Web Key Set (RFC 7517): fetched, kept for minutes, and fetched anew for an unknown key id."""

    def __init__(self, url: str) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=True, lifespan=300, timeout=5)
        self._refreshed = float("-inf")

    def key_of(self, token: str) -> tuple[jwt.PyJWK, str]:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = self._find(key_id, refresh=False)
        if key is None and time.monotonic() - self._refreshed >= _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            key = self._find(key_id, refresh=True)
        if key is None or key.algorithm_name not in _PUBLIC_KEY_ALGORITHMS:
            raise InvalidToken("The token is signed with a key that is not among the published ones.")
        return key, key.algorithm_name

    def _find(self, key_id: str | None, *, refresh: bool) -> jwt.PyJWK | None:
        try:
            keys = self._client.get_signing_keys(refresh=refresh)
        except jwt.PyJWKClientConnectionError:
            raise KeysUnavailable("The keys of tokens can't be read: JWT_JWKS_URL does not answer.") from None
        except jwt.PyJWTError:
            raise KeysUnavailable("What JWT_JWKS_URL answers has no keys that sign tokens.") from None
        return next((key for key in keys if key.key_id == key_id), None)


class TokenVerifier:
    """Checks tokens against one kind of key. Used by many threads."""

    def __init__(self, keys: _Keys, *, audience: str | None, issuer: str | None) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer

    def verify(self, token: str) -> Caller:
        """Verifies a token and returns its caller. May fetch published keys, so it may block for some seconds.

        Raises:
            InvalidToken: Not signed with the key, expired, for another audience, or without a user.
            KeysUnavailable: It can't be verified now.
        """
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            raise InvalidToken("This is no token.")
        try:
            key, algorithm = self._keys.key_of(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCK_SKEW,
                options={"require": ["exp", "sub"], "verify_aud": self._audience is not None},
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("The session has ended: sign in again.", "token_expired") from None
        except jwt.PyJWTError as problem:
            raise InvalidToken(f"The token is not accepted: {_reason(problem)}.") from None
        return _caller(claims)


def _reason(problem: jwt.PyJWTError) -> str:
    match problem:
        case jwt.InvalidAudienceError():
            return "it is for another audience"
        case jwt.InvalidIssuerError():
            return "it is of another issuer"
        case jwt.MissingRequiredClaimError():
            return f"it has no '{problem.claim}'"
        case jwt.ImmatureSignatureError() | jwt.InvalidIssuedAtError():
            return "it is not valid yet"
        case _:
            return "its signature does not fit"


def _caller(claims: Mapping[str, Any]) -> Caller:
    try:
        user_id = parse_user_id(str(claims["sub"]))
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except InvalidUserId:
        raise InvalidToken("The token is not accepted: its 'sub' can't be a user's id.") from None
    except (ValueError, OverflowError, OSError):
        raise InvalidToken("The token is not accepted: its 'exp' is no time.") from None
    return Caller(user_id, claims.get("role") == "admin", expires_at)


def token_verifier(settings: Settings) -> TokenVerifier:
    """The verifier that the settings name; in development, if they name none, one with a secret of this machine.

    Raises:
        OperatorError: In production no key is set, or one that is too short.
        WrongUse: Two kinds of keys are set.
    """
    gateway, is_production = settings.gateway, settings.service.env == "production"
    if gateway.jwt_secret and gateway.jwt_jwks_url:
        raise WrongUse("JWT_SECRET and JWT_JWKS_URL name two kinds of keys: set one of them.")
    keys: _Keys
    if gateway.jwt_jwks_url:
        keys = _PublishedKeys(gateway.jwt_jwks_url)
    else:
        if is_production and not gateway.jwt_secret:
            raise OperatorError(
                "The gateway does not start in production without a key that tokens are checked by: "
                "set JWT_SECRET, or JWT_JWKS_URL."
            )
        secret = _secret(settings)
        if len(secret.encode()) < _SHORTEST_SECRET:
            problem = f"JWT_SECRET has {len(secret.encode())} bytes; {_SHORTEST_SECRET} are the least that HS256 needs."
            if is_production:
                raise OperatorError(problem)
            _log.warning("weak secret", reason=problem)
        keys = _Secret(secret)
    return TokenVerifier(keys, audience=gateway.jwt_audience, issuer=gateway.jwt_issuer)


def development_token(settings: Settings, user_id: str, *, is_admin: bool, lifetime: timedelta) -> str:
    """Makes a token that the gateway of this machine accepts.

    Raises:
        WrongUse: The settings name published keys, or this is production: others issue tokens there.
    """
    if settings.service.env == "production" or settings.gateway.jwt_jwks_url:
        raise WrongUse(
            "Tokens are made here in development only, by JWT_SECRET; whoever signs users in makes the others."
        )
    now = datetime.now(UTC)
    claims: dict[str, Any] = {"sub": user_id, "iat": now, "exp": now + lifetime}
    if is_admin:
        claims["role"] = "admin"
    if settings.gateway.jwt_audience:
        claims["aud"] = settings.gateway.jwt_audience
    if settings.gateway.jwt_issuer:
        claims["iss"] = settings.gateway.jwt_issuer
    return jwt.encode(claims, _secret(settings), algorithm="HS256")


def _secret(settings: Settings) -> str:
    given = settings.gateway.jwt_secret
    return given.get_secret_value() if given else _machine_secret(settings.home / "jwt-secret")


def _machine_secret(file: Path) -> str:
    """This machine's secret: made once, readable by its owner only; of two made at once, one counts."""
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        own = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        own.touch(mode=0o600)
        own.write_text(secrets.token_urlsafe(48))
        try:
            file.hardlink_to(own)
        except FileExistsError:
            pass
        finally:
            own.unlink()
    secret = file.read_text()
    if not secret.strip():
        raise OperatorError(f"'{file}' is empty: remove it, and a new secret is made.")
    return secret
