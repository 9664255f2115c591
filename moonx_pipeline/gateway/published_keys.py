"""The published keys of tokens: a JSON Web Key Set (RFC 7517), read in the background and kept while it can't be read.

A key that is known is never waited for: the set is read again by a thread of its own, one at a time. If that fails,
the last good set goes on serving for a day.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Final

import jwt
import structlog

from moonx_pipeline.gateway.fetching import FETCH_ERRORS, fetch

_FRESH_SECONDS: Final = 300.0
_KEPT_SECONDS: Final = 24 * 3600.0
_PAUSE_SECONDS: Final = 10.0
"""The set is read for unknown key ids, and after a failure, at most this often, whatever ids tokens name."""

_READ_SECONDS: Final = 5.0
_LARGEST_SET: Final = 1_000_000  # bytes
_MOST_WAITING: Final = 8
"""The most requests that wait for a reading: a server that hangs must not take the API's threads."""

_log = structlog.get_logger("auth")


class KeysUnavailable(Exception):
    """The keys to verify tokens with can't be read now."""


class PublishedKeys:
    """The keys at a URL, by id. Used by many threads."""

    def __init__(self, url: str) -> None:
        """Begins to read them."""
        self._url = url
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._next_at = float("-inf")
        self._problem: str | None = None
        self._reading: Future[None] | None = None
        self._places = threading.BoundedSemaphore(_MOST_WAITING)
        with self._lock:
            self._begin()

    def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key of an id; ``None`` if it is not among the published ones. Waits for an unknown one only.

        Raises:
            KeysUnavailable: It is not known, and the set can't be read now.
        """
        key, reading = self._look_up(key_id)
        if key is not None:
            return key
        if reading is not None:
            self._wait_for(reading)
            key, _ = self._look_up(key_id)
        if key is None and self._problem is not None:
            raise KeysUnavailable(self._problem)
        return key

    def _look_up(self, key_id: str | None) -> tuple[jwt.PyJWK | None, Future[None] | None]:
        """A known key, and the reading that may find it or find it changed, if one is under way or due."""
        with self._lock:
            age = time.monotonic() - self._read_at
            key = self._keys.get(key_id) if key_id is not None and age < _KEPT_SECONDS else None
            return key, self._begin() if key is None or age > _FRESH_SECONDS else None

    def _begin(self) -> Future[None] | None:
        """Begins a reading, unless one is under way, or the last one was a moment ago."""
        if self._reading is None and time.monotonic() >= self._next_at:
            self._reading = Future()
            threading.Thread(target=self._read, args=(self._reading,), name="token-keys", daemon=True).start()
        return self._reading

    def _wait_for(self, reading: Future[None]) -> None:
        if not self._places.acquire(blocking=False):
            raise KeysUnavailable("The keys of tokens are being read: try again shortly.")
        try:
            reading.result(_READ_SECONDS)
        except Late:
            raise KeysUnavailable("The keys of tokens can't be read: JWT_JWKS_URL does not answer.") from None
        finally:
            self._places.release()

    def _read(self, reading: Future[None]) -> None:
        keys: dict[str, jwt.PyJWK] = {}
        try:
            keys, problem = self._fetch(), None
        except KeysUnavailable as unavailable:
            problem = str(unavailable)
        except Exception as unforeseen:
            problem = f"The keys of tokens can't be read ({type(unforeseen).__name__})."
        with self._lock:
            now, is_first = time.monotonic(), not self._keys
            if problem is None:
                self._keys, self._read_at = keys, now
            before, self._problem, self._reading = self._problem, problem, None
            # A key that came right after the first reading is looked for at once.
            self._next_at = now if problem is None and is_first else now + _PAUSE_SECONDS
        if problem is not None and before is None:
            _log.warning("keys of tokens can't be read", reason=problem, kept=len(self._keys))
        elif problem is None and before is not None:
            _log.info("keys of tokens are read again", keys=len(keys))
        reading.set_result(None)

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        try:
            answer = fetch(self._url, seconds=_READ_SECONDS, most_bytes=_LARGEST_SET)
        except FETCH_ERRORS:
            raise KeysUnavailable("The keys of tokens can't be read: JWT_JWKS_URL does not answer.") from None
        if answer.status != 200:
            raise KeysUnavailable(
                f"The keys of tokens can't be read: JWT_JWKS_URL answers with status {answer.status}."
            )
        try:
            found = jwt.PyJWKSet.from_json(answer.body.decode()).keys
        except (ValueError, AttributeError, jwt.PyJWTError):
            found = []
        keys = {key.key_id: key for key in found if key.key_id and key.public_key_use in ("sig", None)}
        if not keys:
            raise KeysUnavailable("What JWT_JWKS_URL answers has no keys that sign tokens.")
        return keys
