"""The error of a provider's response, with what it says of itself: its message, its code, when to ask again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from moonx_pipeline.clock import utc_now
from moonx_pipeline.providers.error_table import rule_of
from moonx_pipeline.providers.errors import Banned, BatchTooLarge, ProviderError, RateLimited, Unavailable

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
    rule = rule_of(provider, status, text)
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
