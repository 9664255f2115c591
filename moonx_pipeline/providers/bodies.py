"""Common handling of response bodies: they are checked before use, and decoded row by row if needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import msgspec

from moonx_pipeline.clock import utc_now
from moonx_pipeline.providers.classification import refusal
from moonx_pipeline.providers.errors import Malformed, ProviderError, storable

MAX_TEXT = 200
"""Longer names and symbols are cut: they are hostile input, and nobody reads that far."""

_MILLISECONDS: Final = 1e11
"""Seconds beyond this are after the year 5138: such a number is in milliseconds."""

_FIRST_COIN: Final = datetime(2009, 1, 3, tzinfo=UTC)
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""A source's clock may be ahead of ours by this."""

T = TypeVar("T")

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for content that it can't decode."""


class Checked(Generic[T]):
    """A classifier of one call's responses that keeps the decoded body of a good one.

    It classifies by status, refusal, or a body that the provider does not document.
    """

    def __init__(self, provider: str, decode: Callable[[bytes], T], chain_id: int | None = None) -> None:
        """Makes a classifier for one call.

        Args:
            provider: Its name in errors.
            decode: Decodes a body; it raises one of ``UNREADABLE`` if it can't.
            chain_id: The chain asked about, if it is one.
        """
        self._provider = provider
        self._decode = decode
        self._chain_id = chain_id
        self._value: T | None = None

    def __call__(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        error = refusal(self._provider, status, headers, body, chain_id=self._chain_id)
        if error is not None:
            return error
        try:
            self._value = self._decode(body)
        except UNREADABLE as problem:
            return self._malformed(problem)
        return None

    @property
    def value(self) -> T:
        """The body of the last good response, once there is one."""
        return cast("T", self._value)

    def _malformed(self, problem: Exception) -> Malformed:
        if isinstance(problem, UnicodeDecodeError):
            what = "text that is no UTF-8"
        elif isinstance(problem, RecursionError):
            what = "lists within lists without end"
        else:
            what = f"what it does not document: {problem}"
        return Malformed(f"{self._provider} sent {what}.", provider=self._provider, chain_id=self._chain_id)


class RowDecoder(Protocol):
    """A decoder of one row; it raises one of ``UNREADABLE`` if it can't decode it."""

    def decode(self, raw: msgspec.Raw, /) -> Any: ...


def by_row(
    whole: msgspec.json.Decoder[T], rows_apart: msgspec.json.Decoder[Any], row: RowDecoder, *, no_number: str = "null"
) -> Callable[[bytes], T]:
    """A decoder for which an unreadable row affects only itself.

    A valid answer is decoded in one pass. Only if that fails are its rows decoded one by one: the envelope must
    still be what the provider documents, and an unreadable row is left out of its list or mapping. An independent
    part is declared as ``msgspec.Raw`` and read by ``leniently``.

    Args:
        whole: Of the answer as documented.
        rows_apart: Of the same type with ``msgspec.Raw`` in place of each row; a generic struct serves for both.
        row: Of a row. It may accept more than ``whole`` does, such as a number in place of a text.
        no_number: What stands for ``NaN`` and ``Infinity``: another word than ``null`` where that has a meaning.

    Returns:
        A function that decodes a body. It raises one of ``UNREADABLE`` if not even the envelope fits.
    """

    def decode(body: bytes) -> T:
        try:
            return whole.decode(body)
        except UNREADABLE:
            return cast("T", _with_rows(rows_apart.decode(repaired(body, no_number)), row))

    return decode


def leniently(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T | None:
    """Decodes a part of an answer whose faults must not affect the rest; ``None`` if it is unreadable."""
    try:
        return decoder.decode(raw)
    except UNREADABLE:
        return None


def _with_rows(value: Any, row: RowDecoder) -> Any:
    """The envelope with the rows of its lists and mappings decoded; unreadable rows are left out."""
    if isinstance(value, list):
        return [item for _, item in _readable(enumerate(value), row)]
    if isinstance(value, dict):
        return dict(_readable(value.items(), row))
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            setattr(value, name, _with_rows(getattr(value, name), row))
    return value


def _readable(items: Iterable[tuple[Any, Any]], row: RowDecoder) -> Iterator[tuple[Any, Any]]:
    for key, item in items:
        if not isinstance(item, msgspec.Raw):
            yield key, _with_rows(item, row)
            continue
        try:
            yield key, row.decode(item)
        except UNREADABLE:
            continue


_STRING_OR_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|-?Infinity|NaN', re.DOTALL)
_IN_STRING: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair, which is one character
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # half of one
    r"|\\."
    r"|[\x00-\x1f\ud800-\udfff]",
    re.DOTALL,
)


def repaired(body: bytes, no_number: str = "null") -> bytes:
    """An answer as JSON that any decoder accepts, even if single texts in it break JSON's rules.

    Half a surrogate pair, bytes that are not UTF-8 and bare control characters become U+FFFD; ``NaN`` and
    ``Infinity`` become ``no_number``. All of these come from the names and numbers of single tokens.
    """
    text = body.decode("utf-8-sig", errors="replace")
    return _STRING_OR_WORD.sub(partial(_repaired_part, no_number), text).encode()


def _repaired_part(no_number: str, part: re.Match[str]) -> str:
    return _IN_STRING.sub(_repaired_character, part[0]) if part[0].startswith('"') else no_number


def _repaired_character(found: re.Match[str]) -> str:
    text = found[0]
    is_half = len(text) == 6 and text[2] in "dD"
    return "\ufffd" if is_half or len(text) == 1 else text


def read_time(said: Decimal | float | str | None) -> datetime | None:
    """A time given in seconds since 1970, in milliseconds, or as ISO 8601 says; ``None`` for what no price can have.

    A price is not older than the first coin, and not of the future: such a time is a default of somebody's program.
    """
    try:
        at = _time(said) if said else None
    except (ValueError, OverflowError, OSError):
        return None
    return at if at is not None and _FIRST_COIN <= at <= utc_now() + _CLOCKS_DIFFER else None


def _time(said: Decimal | float | str) -> datetime:
    if isinstance(said, str):
        at = datetime.fromisoformat(said)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    seconds = float(said)
    return datetime.fromtimestamp(seconds / 1000 if seconds > _MILLISECONDS else seconds, UTC)


def clean_text(text: str | None, most: int = MAX_TEXT) -> str | None:
    """A name cut to length, without what no database stores: NUL, and halves of surrogate pairs."""
    return storable(text)[:most] if text else None
