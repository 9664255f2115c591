"""Token lists by URL, in the format that Uniswap published: https://github.com/Uniswap/token-lists.

Lists are written by hand: they name contracts of other chains, native coins as tokens, and contracts twice. Each row
is read by itself, and rows that can't be a token of ours are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN, is_native_mirror
from moonx_pipeline.domain.token_list import ListedToken, TokenList
from moonx_pipeline.providers.bodies import Checked, by_row, clean_text
from moonx_pipeline.providers.errors import Oversized
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

MAX_ROWS: Final = 100_000
"""The most rows of a list; the longest published ones have some ten thousand."""

_LONGEST_URL: Final = 500
_ADDRESS: Final = re.compile("0x[0-9a-fA-F]{40}")
_Row = TypeVar("_Row")


class _Body(msgspec.Struct, Generic[_Row]):
    tokens: list[_Row]
    version: Any = None


class _Token(msgspec.Struct):
    # Any: a name that is a number must not cost the contract in the same row.
    chain_id: Any = msgspec.field(name="chainId", default=None)
    address: Any = None
    symbol: Any = None
    name: Any = None
    logo_url: Any = msgspec.field(name="logoURI", default=None)


_decode = by_row(
    msgspec.json.Decoder(_Body[_Token]), msgspec.json.Decoder(_Body[msgspec.Raw]), msgspec.json.Decoder(_Token)
)


class TokenLists:
    """Reads lists by their URLs."""

    def __init__(self, *, http: HttpClient) -> None:
        """Takes the client; sends nothing yet.

        Args:
            http: The client, with ``token_lists`` as its provider.
        """
        self._http = http

    def read(self, url: str, scope: CallScope) -> TokenList:
        """Reads a list as it is now.

        Args:
            url: Its URL.
            scope: Deadline and tally.

        Raises:
            ProviderError: It can't be read, or is no token list.
        """
        classify = Checked(self._http.provider, _decode)
        body = self._http.send(Request("GET", url, "token_list"), classify, scope=scope)
        version, tokens = parse_token_list(body)
        return TokenList(list_name(url), version, tokens)


def list_name(url: str) -> str:
    """A list's name in the registry: its URL without a login or query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def parse_token_list(body: bytes) -> tuple[str, tuple[ListedToken, ...]]:
    """The version and the tokens of a list.

    Raises:
        msgspec.MsgspecError: It is no token list.
        Oversized: It has too many rows.
    """
    decoded = _decode(body)
    rows = bounded(decoded.tokens, "token_lists")
    listed = (
        listed_token(row.chain_id, row.address, symbol=row.symbol, name=row.name, logo_url=row.logo_url) for row in rows
    )
    return _version(decoded.version), once_each(listed)


def listed_token(
    chain_id: Any, address: Any, *, symbol: Any = None, name: Any = None, logo_url: Any = None, coingecko_id: Any = None
) -> ListedToken | None:
    """A row as a token, with unusable fields left unknown; ``None`` if it names no token of our chains."""
    if type(chain_id) is not int or chain_id not in CHAIN_BY_ID:
        return None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        return None
    token = address.lower()
    if token == NATIVE_TOKEN or is_native_mirror(chain_id, token):
        return None
    return ListedToken(chain_id, token, _text(symbol), _text(name), _web_address(logo_url), _text(coingecko_id))


def once_each(tokens: Iterable[ListedToken | None]) -> tuple[ListedToken, ...]:
    """Each contract once, in order; if a contract is named twice, the first row counts."""
    found: dict[tuple[int, str], ListedToken] = {}
    for token in tokens:
        if token is not None:
            found.setdefault((token.chain_id, token.token_address), token)
    return tuple(found[key] for key in sorted(found))


def bounded(rows: list[_Row], provider: str) -> list[_Row]:
    """The rows of an answer.

    Raises:
        Oversized: There are more of them than any list has. It is never cut: half a list would drop the other half.
    """
    if len(rows) > MAX_ROWS:
        raise Oversized(f"{provider} sent {len(rows)} rows; {MAX_ROWS} are taken at most.", provider=provider)
    return rows


def _text(value: Any) -> str | None:
    return (clean_text(value.strip()) or None) if isinstance(value, str) else None


def _web_address(value: Any) -> str | None:
    """The URL of a picture, if it can be fetched: lists have ``ipfs://`` and ``data:`` URLs too."""
    if not isinstance(value, str) or len(value) > _LONGEST_URL or not value.startswith("https://"):
        return None
    return clean_text(value, _LONGEST_URL)


def _version(value: Any) -> str:
    parts = [value.get(part) for part in ("major", "minor", "patch")] if isinstance(value, dict) else [None]
    return ".".join(map(str, parts)) if all(type(part) is int for part in parts) else "unknown"
