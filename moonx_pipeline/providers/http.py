"""HTTP for all providers: firm deadlines, bounded bodies, typed errors, one layer of retries.

Many URLs contain the key, so no message, and no cause of an error, ever holds one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from moonx_pipeline.clock import utc_now
from moonx_pipeline.metrics.providers import count_call
from moonx_pipeline.providers.connections import FinalResponses
from moonx_pipeline.providers.error_table import effect_of
from moonx_pipeline.providers.errors import (
    CallTimeout,
    DeadlineOver,
    Oversized,
    ProviderError,
    RateLimited,
    Unavailable,
)
from moonx_pipeline.providers.rate_limiter import NullRateLimiter, RateLimiter
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope, ProviderCall
from moonx_pipeline.tracing import span

Classify = Callable[[int, Mapping[str, str], bytes], ProviderError | None]
"""Gives the error of a response by its status, headers and body; ``None`` for a good one."""

PATIENCE_SECONDS: Final = 2.0
"""The longest wait that a provider may ask for; beyond it there are other sources, and a next sync."""

FAIR_CHANCE_SECONDS: Final = 1.0
"""A call left with less time than this by the sync's deadline says nothing about its provider."""

_LONGEST_JITTER: Final = 8.0  # seconds
_CHUNK: Final = 65_536  # bytes


class HttpClient:
    """One provider's connections. One instance a process, shared by its threads."""

    def __init__(
        self,
        provider: str,
        *,
        timeout_s: float,
        retries: int,
        retry_delay_s: float,
        max_body_bytes: int,
        rate_limiter: RateLimiter | None = None,
        patience_s: float = PATIENCE_SECONDS,
        pool_size: int = 32,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
    ) -> None:
        """Prepares connections; sends nothing yet.

        Args:
            provider: Its name in errors and tallies.
            timeout_s: The longest that one try may take, from connecting to the body's last byte.
            retries: Tries of one call, including the first.
            retry_delay_s: The longest wait before the second try; it doubles, and each wait is random up to it.
            max_body_bytes: A longer answer is an error.
            rate_limiter: The limits that each try has to pass; ``None`` for none.
            patience_s: The longest wait that a provider may ask for after a refusal.
            pool_size: Connections that are kept.
            headers: Sent with each call; they may hold a key.
            secrets: Keys, hidden if a provider repeats them in its answer.
        """
        self.provider = provider
        self._timeout_s = timeout_s
        self._fair_chance_s = min(timeout_s, FAIR_CHANCE_SECONDS)
        self._retries = retries
        self._retry_delay_s = retry_delay_s
        self._max_body_bytes = max_body_bytes
        self._rate_limiter: RateLimiter = rate_limiter or NullRateLimiter()
        self._patience_s = patience_s
        self._secrets = tuple(secret for secret in secrets if secret)
        self._headers: dict[str, str] = {
            **requests.utils.default_headers(),
            "Accept": "application/json",
            "User-Agent": "moonx-pipeline",
            **(headers or {}),
        }
        self._surroundings: dict[str, dict[str, Any]] = {}
        # A session would add what providers must not get (cookies, a login of ~/.netrc) and look for proxies in the
        # environment at each call: half of a call's CPU.
        self._adapter = FinalResponses(pool_connections=8, pool_maxsize=pool_size, max_retries=0)

    def room(self, compute_units: int) -> int:
        """How many calls of this cost can be reserved together at most."""
        return self._rate_limiter.room(compute_units)

    def reserve(self, calls: int, *, compute_units: int) -> datetime | None:
        """Reserves permits for calls that are made now; see ``RateLimiter.reserve``.

        Raises:
            RateLimited: There is no room for them now.
        """
        return self._rate_limiter.reserve(calls, compute_units=compute_units)

    def send(self, request: Request, classify: Classify, *, scope: CallScope, slot: datetime | None = None) -> bytes:
        """Sends a request, and repeats it within the deadline if that may succeed.

        Args:
            request: The request.
            classify: Gives the error of a response.
            scope: Deadline and tally; each try is a call of it.
            slot: A reserved slot; a repeat takes one of its own.

        Returns:
            The body of a good response.

        Raises:
            ProviderError: The error of the last try.
        """
        reserved, about = slot, {"moonx.provider": self.provider, "moonx.chain": request.chain_id}

        def attempt() -> bytes:
            with span(f"{self.provider} {request.endpoint}", about, kind="client"):
                return ask()

        def ask() -> bytes:
            nonlocal reserved
            units = request.compute_units
            slot = reserved or self._rate_limiter.acquire(scope, cost=request.cost, compute_units=units)
            reserved, started, outcome = None, time.monotonic(), _UNFORESEEN
            try:
                body = self._once(request, scope, classify)
                outcome = "ok"
            except ProviderError as error:
                outcome, effect = type(error).__name__, effect_of(error)
                units = units if effect.is_billed else 0
                if effect.block:
                    self._rate_limiter.refused(error, slot)
                raise
            finally:
                seconds = time.monotonic() - started
                scope.calls.append(
                    ProviderCall(self.provider, request.chain_id, request.endpoint, outcome, seconds, units)
                )
                count_call(self.provider, request.chain_id, outcome, seconds=seconds, compute_units=units)
            return body

        jitter = wait_random_exponential(multiplier=self._retry_delay_s, max=_LONGEST_JITTER)

        def wait(state: RetryCallState) -> float:
            return _asked_wait(state) or jitter(state)

        def worth_it(error: BaseException) -> bool:
            if not isinstance(error, ProviderError) or not effect_of(error).repeat:
                return False
            return _seconds_until(error.retry_at) <= self._patience_s

        # A try without time for an answer would only hide why the previous one failed.
        in_time = stop_before_delay(scope.remaining() - self._fair_chance_s)
        retrying = Retrying(
            stop=stop_after_attempt(self._retries) | in_time,
            wait=wait,
            retry=retry_if_exception(worth_it),
            reraise=True,
        )
        return retrying(attempt)

    def _once(self, request: Request, scope: CallScope, classify: Classify) -> bytes:
        budget = min(self._timeout_s, scope.remaining())
        if budget <= 0:
            raise DeadlineOver(
                f"{self.provider} was not asked: the sync's time is over.",
                provider=self.provider,
                chain_id=request.chain_id,
            )
        end = time.monotonic() + budget
        prepared = requests.PreparedRequest()
        try:
            prepared.prepare(
                request.method, request.url, headers=self._headers, params=request.params, json=request.json
            )
            with self._adapter.send(
                prepared,
                stream=True,
                timeout=urllib3.Timeout(total=budget),  # type: ignore[arg-type]  # stubs don't know it
                **self._surroundings_of(request.url),
            ) as response:
                body = self._read(response, end, budget, request.chain_id)
                status, headers = response.status_code, response.headers
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise self._late(budget, request.chain_id) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as problem:
            # Its text holds the URL, and so the key: only its kind is shown.
            raise Unavailable(
                f"{self.provider} can't be reached ({_kind(problem)}).",
                provider=self.provider,
                chain_id=request.chain_id,
            ) from None
        error = classify(status, headers, body)
        if error is not None:
            error.args = tuple(self._hidden(argument) for argument in error.args)
            raise error
        return body

    def _surroundings_of(self, url: str) -> dict[str, Any]:
        """The environment's proxies and certificates for a host."""
        host = urlsplit(url).netloc
        if host not in self._surroundings:
            found = requests.Session().merge_environment_settings(url, {}, True, None, None)
            self._surroundings[host] = {name: found[name] for name in ("proxies", "verify", "cert")}
        return self._surroundings[host]

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def _read(self, response: requests.Response, end: float, budget: float, chain_id: int | None) -> bytes:
        """The body, bounded in time and size; a slow drip ends at the deadline, not at the last byte."""
        parts, size = [], 0
        while True:
            # read1 returns what has arrived; read would wait for a full chunk, however slowly it arrives.
            part = response.raw.read1(_CHUNK, decode_content=True)
            if not part and response.raw.closed:
                break
            parts.append(part)
            size += len(part)
            if size > self._max_body_bytes:
                raise Oversized(
                    f"{self.provider} sent more than {self._max_body_bytes} bytes; raise PROVIDER_MAX_BODY_BYTES.",
                    provider=self.provider,
                    chain_id=chain_id,
                    status=response.status_code,
                )
            if time.monotonic() > end:
                raise self._late(budget, chain_id)
        return b"".join(parts)

    def _late(self, seconds: float, chain_id: int | None) -> ProviderError:
        kind = CallTimeout if seconds >= self._fair_chance_s else DeadlineOver
        message = f"{self.provider} did not answer in full within {seconds:.1f} s."
        return kind(message, provider=self.provider, chain_id=chain_id)


_UNFORESEEN: Final = "Unforeseen"  # the outcome of a call that ended without a typed error, which is a bug of ours

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (requests.exceptions.SSLError, "its certificate or encryption was not accepted"),
    (requests.exceptions.ProxyError, "the proxy did not let us through"),
    (urllib3.exceptions.ProtocolError, "the connection broke in the middle of its answer"),
    (urllib3.exceptions.DecodeError, "its answer could not be unpacked"),
    (requests.exceptions.ConnectionError, "no connection, or it was cut"),
)


def _kind(problem: Exception) -> str:
    return next((text for kind, text in _KINDS if isinstance(problem, kind)), type(problem).__name__)


def _seconds_until(moment: datetime | None) -> float:
    return 0.0 if moment is None else max(0.0, (moment - utc_now()).total_seconds())


def _asked_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return _seconds_until(error.retry_at) if isinstance(error, RateLimited) else 0.0
