"""Published keys of tokens: which count, how new ones are found, and what holds while they can't be read."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from moonx_pipeline.gateway import auth, published_keys
from moonx_pipeline.gateway.auth import InvalidToken, token_verifier
from moonx_pipeline.gateway.published_keys import KeysUnavailable
from moonx_pipeline.settings import Settings
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import AUDIENCE, ISSUER, SECRET, token_of
from moonx_pipeline_tests.support.raw_server import answering

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_EC = ec.generate_private_key(ec.SECP256R1())


def by(url: str) -> auth.TokenVerifier:
    return token_verifier(
        Settings.from_environment({"JWT_AUDIENCE": AUDIENCE, "JWT_ISSUER": ISSUER, "JWT_JWKS_URL": url})
    )


def refusal(verifier: auth.TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as refused:
        verifier.verify(token)
    return refused.value.code


class PublishedKeys:
    """A server of a JSON Web Key Set."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.reads = 0
        self.answers = Event()
        self.answers.set()
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.reads += 1
                published.answers.wait(30)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": published.keys}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def publish(self, key_id: str, key: Any, **more: str) -> None:
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        shape = json.loads(algorithm.to_jwk(key.public_key()))
        self.keys.append({**shape, "kid": key_id, "use": "sig", **more})


@pytest.fixture
def published() -> Iterator[PublishedKeys]:
    keys = PublishedKeys()
    yield keys
    keys.answers.set()
    keys.server.shutdown()
    keys.server.server_close()


def signed(key_id: str, key: Any, algorithm: str, user_id: str = "ann") -> str:
    claims = jwt.decode(token_of(user_id), options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm, headers={"kid": key_id})


def test_published_keys_of_both_kinds_are_accepted_and_new_ones_are_found(published: PublishedKeys) -> None:
    published.publish("first", _RSA)
    verifier = by(published.url)
    assert verifier.verify(signed("first", _RSA, "RS256")).user_id == "ann"

    published.keys.clear()
    published.publish("second", _EC)

    assert verifier.verify(signed("second", _EC, "ES256", "bob")).user_id == "bob"
    assert refusal(verifier, signed("first", _RSA, "RS256")) == "unauthorized"


def test_unknown_key_ids_do_not_make_it_read_the_keys_again_and_again(published: PublishedKeys) -> None:
    published.publish("first", _RSA)
    verifier = by(published.url)

    for number in range(20):
        assert refusal(verifier, signed(f"made-up-{number}", _RSA, "RS256")) == "unauthorized"

    assert published.reads <= 2


def test_a_public_key_is_never_taken_for_a_secret(published: PublishedKeys) -> None:
    published.publish("first", _RSA)
    verifier = by(published.url)
    public = _RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(token_of("ann"), options={"verify_signature": False})
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256", "kid": "first"}, claims)
    )
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    forged = base64.urlsafe_b64encode(mac.sign(f"{head}.{body}".encode(), public)).decode().rstrip("=")

    assert refusal(verifier, f"{head}.{body}.{forged}") == "unauthorized"


def test_a_published_secret_is_no_public_key(published: PublishedKeys) -> None:
    shared = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    published.keys.append({"kty": "oct", "k": shared, "kid": "first", "use": "sig", "alg": "HS256"})

    with pytest.raises((InvalidToken, KeysUnavailable)):
        by(published.url).verify(signed("first", SECRET, "HS256"))


def test_keys_that_can_not_be_read_are_not_the_tokens_fault(published: PublishedKeys) -> None:
    published.server.shutdown()
    published.server.server_close()

    with pytest.raises(KeysUnavailable, match="JWT_JWKS_URL does not answer"):
        by(published.url).verify(signed("first", _RSA, "RS256"))


def test_a_known_key_waits_for_no_server_that_hangs(published: PublishedKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    published.publish("first", _RSA)
    verifier, token = by(published.url), signed("first", _RSA, "RS256")
    verifier.verify(token)
    monkeypatch.setattr(published_keys, "_FRESH_SECONDS", 0)
    published.answers.clear()

    began = time.monotonic()
    assert {verifier.verify(token).user_id for _ in range(50)} == {"ann"}

    assert time.monotonic() - began < 2
    eventually(lambda: _assert_reads(published, 2))


def _assert_reads(published: PublishedKeys, count: int) -> None:
    assert published.reads == count


def test_the_last_good_keys_serve_while_there_is_no_server(
    published: PublishedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.publish("first", _RSA)
    verifier, token = by(published.url), signed("first", _RSA, "RS256")
    verifier.verify(token)
    monkeypatch.setattr(published_keys, "_FRESH_SECONDS", 0)
    published.server.shutdown()
    published.server.server_close()
    with pytest.raises(KeysUnavailable):
        verifier.verify(signed("second", _EC, "ES256"))

    assert verifier.verify(token).user_id == "ann"

    monkeypatch.setattr(published_keys, "_KEPT_SECONDS", 0)
    with pytest.raises(KeysUnavailable, match="JWT_JWKS_URL does not answer"):
        verifier.verify(token)


def test_unknown_keys_of_a_server_that_hangs_hold_few_requests(
    published: PublishedKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.publish("first", _RSA)
    verifier, token = by(published.url), signed("second", _EC, "ES256")
    verifier.verify(signed("first", _RSA, "RS256"))
    monkeypatch.setattr(published_keys, "_READ_SECONDS", 1.5)
    published.answers.clear()

    def seconds(_number: int) -> float:
        began = time.monotonic()
        with pytest.raises(KeysUnavailable):
            verifier.verify(token)
        return time.monotonic() - began

    with ThreadPoolExecutor(20) as threads:
        took = list(threads.map(seconds, range(20)))

    assert max(took) < 3
    assert sum(one > 1 for one in took) == 8
    assert published.reads == 2


def test_a_set_that_comes_byte_by_byte_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_keys, "_READ_SECONDS", 1.0)
    ends = Event()

    def drip(connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not ends.wait(0.1):
            connection.sendall(b" ")

    with answering(drip) as url:
        keys = published_keys.PublishedKeys(url)
        began = time.monotonic()
        with pytest.raises(KeysUnavailable):
            keys.find("first")
        eventually(lambda: _assert_told(keys))
        ends.set()
    assert time.monotonic() - began < 30


def _assert_told(keys: published_keys.PublishedKeys) -> None:
    with pytest.raises(KeysUnavailable, match="does not answer"):
        keys.find("first")
