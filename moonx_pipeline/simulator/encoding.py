"""The providers' notation: exact numbers, checksummed addresses, and lone surrogates."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from eth_utils.address import to_checksum_address
from starlette.responses import Response

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STAND_IN: Final = re.compile(b"\xf3\xb0[\x80-\x9f][\x80-\xbf]")  # U+F0000 … U+F07FF, which nobody else uses


@lru_cache(maxsize=20_000)
def checksummed(address: str) -> str:
    """An address with the checksum of EIP-55."""
    return str(to_checksum_address(address))


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; a ``Decimal`` becomes a number with all its digits."""
    return Response(json_bytes(content), status, headers, "application/json")


def json_bytes(content: Any) -> bytes:
    """JSON in UTF-8. A lone surrogate, which UTF-8 can't encode, is written as an escape such as ``\\ud800``."""
    try:
        return _encode(content)
    except UnicodeEncodeError:
        body = _encode(_without_surrogates(content))
        return _STAND_IN.sub(lambda found: rf"\u{0xD800 + ord(found[0].decode()) - 0xF0000:04x}".encode(), body)


def _without_surrogates(content: Any) -> Any:
    if isinstance(content, str):
        return _SURROGATE.sub(lambda found: chr(0xF0000 + ord(found[0]) - 0xD800), content)
    if isinstance(content, dict):
        return {name: _without_surrogates(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_without_surrogates(item) for item in content]
    return content
