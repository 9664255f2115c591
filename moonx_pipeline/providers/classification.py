"""What a provider's refusal means, and its consequences: two tables.

``RULES``, read from top to bottom, gives the kind of error of a response. A refusal's text takes precedence over its
status and code: providers sit behind firewalls and caches that answer in HTML, and the same refusal comes with
different statuses (Alchemy's used-up plan is a 403 or a 429). ``EFFECTS`` gives the consequences of each kind:
whether the call is repeated, whether it blocks the rate limiter, how it counts for the circuit breaker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from moonx_pipeline.clock import utc_now
from moonx_pipeline.providers.errors import (
    BadRequest,
    Banned,
    BatchTooLarge,
    CallTimeout,
    DeadlineOver,
    KeyRejected,
    Malformed,
    NetworkNotEnabled,
    Oversized,
    PartsRefused,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Restricted,
    Unavailable,
)


class Rule(NamedTuple):
    """A row of the table: it matches if each of its columns that is not ``None`` does.

    Attributes:
        error: What the refusal means.
        statuses: HTTP statuses, as a range.
        provider: Only of this provider.
        text: A pattern in the body.
        meaning: Shown to users; what to do, if anything.
    """

    error: type[ProviderError]
    statuses: range | None = None
    provider: str | None = None
    text: str | None = None
    meaning: str = ""


def _status(first: int, last: int | None = None) -> range:
    return range(first, (last or first) + 1)


RULES: Final = (
    # The text takes precedence over the status.
    Rule(
        QuotaExhausted,
        text="monthly (capacity|credit|call)",
        meaning="the plan's monthly capacity is used up (raise it at the provider)",
    ),
    Rule(BatchTooLarge, provider="coingecko", text="exceeds the allowed limit", meaning="too many contracts in a call"),
    Rule(BatchTooLarge, _status(414), meaning="the address of the call is too long"),
    Rule(Restricted, _status(451), meaning="it does not serve this location"),
    Rule(Banned, _status(418), meaning="it banned this machine's address for ignoring its limit"),
    Rule(RateLimited, _status(429), meaning="its rate limit is reached"),
    Rule(RateLimited, text="error code: 1015", meaning="its rate limit is reached"),
    Rule(
        NetworkNotEnabled,
        _status(400, 499),
        "alchemy",
        "not enabled for this app",
        meaning="the key's app does not have that network (enable it at the provider)",
    ),
    # Whatever proxy is before a hosted node may refuse its key, in HTML or JSON.
    Rule(KeyRejected, _status(403), "rpc", meaning="the key is not allowed to ask this (check it at the provider)"),
    # A firewall refuses in HTML; a provider that refuses a key says so in JSON.
    Rule(Restricted, _status(403), text=r"^\s*<", meaning="its firewall refused this machine"),
    Rule(Restricted, _status(403), "binance", meaning="its firewall refused this machine"),
    Rule(Restricted, _status(403), text="error code: 1020", meaning="its firewall refused this machine"),
    Rule(
        KeyRejected,
        provider="coingecko",
        text=r'"error_code"\s*:\s*1001[01]\b|root URL',
        meaning="the key is for its other host",
    ),
    Rule(KeyRejected, _status(401), meaning="the key is missing or wrong (check its setting)"),
    Rule(KeyRejected, _status(403), meaning="the key is not allowed to ask this (check it at the provider)"),
    Rule(Unavailable, _status(408), meaning="it gave up waiting"),
    Rule(Unavailable, _status(500, 599), meaning="it has a fault of its own"),
    Rule(Malformed, _status(300, 399), meaning="it points to another address"),
    Rule(BadRequest, _status(400, 499), meaning="it does not take what was asked"),
    Rule(Malformed, _status(100, 199), meaning="it announced an answer and sent none"),
    Rule(Malformed, meaning="HTTP has no such status"),  # everything else
)


class Effect(NamedTuple):
    """The consequences of an error.

    Attributes:
        repeat: Whether the same call may succeed within seconds, so that the fetch asks again.
        block: Whether the limiter blocks all calls to the provider until the time it gives.
        breaker: What it counts as: ``failure``, so that several in a row open the breaker; a cause that
            opens it at once; ``none``, which says nothing about the provider's health.
        open_for: How long it opens the breaker; ``None`` is the setting's time.
    """

    repeat: bool = False
    block: bool = False
    breaker: str = "none"
    open_for: timedelta | None = None


EFFECTS: Final[Mapping[type[ProviderError], Effect]] = {
    Unavailable: Effect(repeat=True, breaker="failure"),
    # It has taken the time of many tries, and there are fallbacks and other sources.
    CallTimeout: Effect(breaker="failure"),
    Malformed: Effect(repeat=True, breaker="failure"),
    RateLimited: Effect(repeat=True, block=True),
    Banned: Effect(block=True),
    # None of these ends by itself within minutes; each needs an operator.
    QuotaExhausted: Effect(breaker="quota_exhausted", open_for=timedelta(hours=1)),
    KeyRejected: Effect(breaker="key_rejected", open_for=timedelta(minutes=10)),
    Restricted: Effect(breaker="restricted", open_for=timedelta(hours=1)),
    # Our question was wrong, or our time was over: the provider is healthy.
    BadRequest: Effect(),
    BatchTooLarge: Effect(),
    # What a wallet holds says nothing about the provider's health, so no other user may suffer from it.
    Oversized: Effect(),
    PartsRefused: Effect(),
    DeadlineOver: Effect(),
    ProviderError: Effect(),
}


def effect_of(error: ProviderError) -> Effect:
    """The consequences of an error, by its class or the nearest base class in the table."""
    return next(EFFECTS[kind] for kind in type(error).__mro__ if kind in EFFECTS)


_ALLOWED: Final = re.compile(r"allowed limit \((\d+)")
_BANNED_UNTIL: Final = re.compile(r"banned until (\d{13})")
_MESSAGE: Final = re.compile(rb'"(?:message|msg|error_message|reason|error)"\s*:\s*"((?:[^"\\]|\\.){1,200})')
_CODE: Final = re.compile(rb'"(?:code|error_code)"\s*:\s*(-?\d{1,6})')
_SHOWN: Final = 160
_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_LONGEST_BAN: Final = timedelta(days=3)
"""The longest that Binance bans an address."""

_LONGEST_WAIT: Final = timedelta(hours=1)
"""Other refusals are tried again after that, whatever they say: one odd header would lock all users out for years."""


def refusal(
    provider: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    chain_id: int | None = None,
    name: str | None = None,
) -> ProviderError | None:
    """The error of a response by its status and text; ``None`` for status 2xx.

    Args:
        provider: Who answered.
        status: HTTP status.
        headers: Of the response.
        body: Of the response; JSON, HTML, text or nothing.
        chain_id: The chain asked about, if it is one.
        name: The provider's name as shown to users, if it differs.
    """
    if 200 <= status < 300:
        return None
    text = body[:4096].decode("utf-8", errors="replace")
    rule = next(rule for rule in RULES if _fits(rule, provider, status, text))
    said = _MESSAGE.search(body[:4096])
    quoted = f": {said[1].decode('utf-8', errors='replace')[:_SHOWN]}" if said else ""
    message = f"{name or provider} refused with status {status}, {rule.meaning}{quoted}"
    if rule.error is BatchTooLarge:
        allowed = _ALLOWED.search(text)
        return BatchTooLarge(message, limit=int(allowed[1]) if allowed else None, provider=provider, status=status)
    code = _CODE.search(body[:4096])
    return rule.error(
        message,
        provider=provider,
        chain_id=chain_id,
        status=status,
        code=int(code[1]) if code else None,
        retry_at=retry_time(headers, text, longest=_LONGEST_BAN if rule.error is Banned else _LONGEST_WAIT)
        if rule.error in (RateLimited, Banned, Unavailable)
        else None,
    )


def _fits(rule: Rule, provider: str, status: int, text: str) -> bool:
    return (
        (rule.provider is None or rule.provider == provider)
        and (rule.statuses is None or status in rule.statuses)
        and (rule.text is None or re.search(rule.text, text, re.IGNORECASE) is not None)
    )


def retry_time(headers: Mapping[str, str], text: str = "", *, longest: timedelta = _LONGEST_WAIT) -> datetime | None:
    """When a provider may be asked again: by its Retry-After (seconds or a date) or its text, within ``longest``."""
    said, latest = _said_retry_time(headers.get("Retry-After", "").strip(), text), utc_now() + longest
    return said and min(said, latest)


def _said_retry_time(after: str, text: str) -> datetime | None:
    if _SECONDS.fullmatch(after):
        return utc_now() + timedelta(seconds=float(after))
    if after:
        try:
            return parsedate_to_datetime(after).astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    banned = _BANNED_UNTIL.search(text)
    return datetime.fromtimestamp(int(banned[1]) / 1000, UTC) if banned else None
