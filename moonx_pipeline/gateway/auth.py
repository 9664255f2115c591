"""Verifies tokens and reads the caller from them.

Tokens are JSON Web Tokens (RFC 7519). The configured key alone decides which algorithms count, never the token's
header: so neither ``alg: none`` nor a public key used as a secret gets through (RFC 8725, 3.1).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import jwt
import structlog
from jwt.exceptions import InvalidSubjectError

from moonx_pipeline.domain.users import InvalidUserId, parse_user_id
from moonx_pipeline.errors import OperatorError, WrongUse
from moonx_pipeline.gateway.published_keys import PublishedKeys
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.rules import missing_for_gateway, weak_secret

CLOCK_SKEW: Final = timedelta(seconds=30)
"""The largest difference between the clocks of the token issuer and of this machine."""

_LONGEST_TOKEN: Final = 8192

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


class _Keys(Protocol):
    def key_of(self, token: str) -> tuple[Any, str]:
        """The key and the algorithm that a token must be signed with."""


class _Secret:
    """One shared secret, HS256."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def key_of(self, token: str) -> tuple[str, str]:
        return self._secret, "HS256"


class _Published:
    """One of the published keys, by a public-key algorithm."""

    def __init__(self, url: str) -> None:
        self._keys = PublishedKeys(url)

    def key_of(self, token: str) -> tuple[jwt.PyJWK, str]:
        key = self._keys.find(jwt.get_unverified_header(token).get("kid"))
        if key is None or key.algorithm_name not in _PUBLIC_KEY_ALGORITHMS:
            raise InvalidToken("The token is signed with a key that is not among the published ones.")
        return key, key.algorithm_name


class TokenVerifier:
    """Checks tokens against one kind of key. Used by many threads."""

    def __init__(self, keys: _Keys, *, audience: str | None, issuer: str | None) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer

    def verify(self, token: str) -> Caller:
        """Verifies a token and returns its caller. An unknown published key is waited for, some seconds at most.

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
        case InvalidSubjectError():
            return "its 'sub' is no text"
        case jwt.InvalidSignatureError():
            return "its signature does not fit"
        case jwt.InvalidAlgorithmError():
            return "it is signed by another algorithm"
        case _:
            return "it can't be read, or a time in it is no number"


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
        OperatorError: In production no key is set.
    """
    gateway = settings.gateway
    if missing := missing_for_gateway(settings):
        raise OperatorError(missing)
    if weak := weak_secret(settings):
        _log.warning("weak secret", reason=weak)
    keys: _Keys = _Published(gateway.jwt_jwks_url) if gateway.jwt_jwks_url else _Secret(_secret(settings))
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
