"""Whose tokens are accepted: by secret, by published keys, and never by what a token says of itself."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.gateway import auth
from moonx_pipeline.gateway.auth import InvalidToken, development_token, token_verifier
from moonx_pipeline.settings import Settings
from moonx_pipeline_tests.fixtures.gateway import AUDIENCE, ISSUER, SECRET, token_of

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_EC = ec.generate_private_key(ec.SECP256R1())


def by(**environment: str) -> auth.TokenVerifier:
    return token_verifier(Settings.from_environment({"JWT_AUDIENCE": AUDIENCE, "JWT_ISSUER": ISSUER, **environment}))


@pytest.fixture
def by_secret() -> auth.TokenVerifier:
    return by(JWT_SECRET=SECRET)


def refusal(verifier: auth.TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as refused:
        verifier.verify(token)
    return refused.value.code


def test_a_token_says_who_it_is_of_and_whether_he_is_an_administrator(by_secret: auth.TokenVerifier) -> None:
    ann, root = by_secret.verify(token_of("ann")), by_secret.verify(token_of("root", role="admin"))

    assert (ann.user_id, ann.is_admin) == ("ann", False)
    assert (root.user_id, root.is_admin) == ("root", True)
    assert not by_secret.verify(token_of("eve", role=["admin"])).is_admin


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"seconds": -40}, "token_expired", id="expired"),
        pytest.param({"aud": "another"}, "unauthorized", id="another audience"),
        pytest.param({"aud": None}, "unauthorized", id="no audience"),
        pytest.param({"iss": "https://elsewhere.example"}, "unauthorized", id="another issuer"),
        pytest.param({"exp": None}, "unauthorized", id="no end"),
        pytest.param({"nbf": 2**33}, "unauthorized", id="not valid yet"),
        pytest.param({"user_id": ""}, "unauthorized", id="no user"),
        pytest.param({"user_id": "a\u202eb"}, "unauthorized", id="a user with a hidden character"),
        pytest.param({"user_id": "a" * 256}, "unauthorized", id="a user with a long name"),
        pytest.param({"key": "another secret that is long enough, too"}, "unauthorized", id="another secret"),
        pytest.param({"key": None, "algorithm": "none"}, "unauthorized", id="no algorithm"),
        pytest.param({"key": SECRET + SECRET, "algorithm": "HS512"}, "unauthorized", id="another algorithm"),
        pytest.param({"key": _RSA, "algorithm": "RS256"}, "unauthorized", id="a public key"),
    ],
)
def test_a_token_that_is_not_in_order_is_refused(
    by_secret: auth.TokenVerifier, claims: dict[str, Any], code: str
) -> None:
    assert refusal(by_secret, token_of(**{"user_id": "ann", **claims})) == code


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": "soon"}, "a time in it is no number"),
        ({"sub": ["ann"]}, "its 'sub' is no text"),
        ({"key": None, "algorithm": "none"}, "another algorithm"),
        ({"key": "another secret that is long enough, too"}, "its signature does not fit"),
        ({"exp": None}, "it has no 'exp'"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_token(
    by_secret: auth.TokenVerifier, claims: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidToken, match=reason):
        by_secret.verify(token_of("ann", **claims))


@pytest.mark.parametrize("text", ["", "a.b.c", "\ud800", "x" * 9000], ids=["empty", "no token", "no text", "too long"])
def test_what_is_no_token_is_refused(by_secret: auth.TokenVerifier, text: str) -> None:
    assert refusal(by_secret, text) == "unauthorized"


def test_clocks_may_differ_by_half_a_minute_and_no_more(by_secret: auth.TokenVerifier) -> None:
    assert by_secret.verify(token_of("ann", seconds=-20)).user_id == "ann"
    assert refusal(by_secret, token_of("ann", seconds=-31)) == "token_expired"


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_token_that_was_changed_anywhere_is_refused_or_says_the_same(place: int, bit: int) -> None:
    verifier, token = by(JWT_SECRET=SECRET), token_of("ann")
    head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in token.split("."))
    whole = bytearray(head + claims + signature)
    whole[place % len(whole)] ^= 1 << bit
    first, second = len(head), len(head) + len(claims)
    parts = (whole[:first], whole[first:second], whole[second:])

    assert refusal(verifier, ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts))


@pytest.mark.parametrize(("given_key", "sentence"), [({}, "set JWT_SECRET"), ({"JWT_SECRET": "short"}, "5 bytes")])
def test_production_does_not_start_without_a_proper_key(given_key: dict[str, str], sentence: str) -> None:
    production = {"MOONX_ENV": "production", "DB_HOST": "h", "DB_PASSWORD": "p"}

    with pytest.raises(OperatorError, match=sentence):
        by(**production, **given_key)


def test_two_kinds_of_keys_are_an_error() -> None:
    with pytest.raises(OperatorError, match="set one of them"):
        by(JWT_SECRET=SECRET, JWT_JWKS_URL="https://login.example/jwks.json")


def test_a_machine_in_development_has_a_secret_of_its_own(tmp_path: Path) -> None:
    settings = Settings.from_environment({"MOONX_HOME": str(tmp_path)})
    token = development_token(settings, "ann", is_admin=True, lifetime=timedelta(hours=1))

    assert token_verifier(settings).verify(token)[:2] == ("ann", True)
    assert (tmp_path / "jwt-secret").stat().st_mode & 0o077 == 0
    elsewhere = Settings.from_environment({"MOONX_HOME": str(tmp_path / "other")})
    assert refusal(token_verifier(elsewhere), token) == "unauthorized"
