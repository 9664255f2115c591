"""CoinGecko: listed coins by id, and listed tokens by contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import msgspec

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.money import parse_change, parse_price
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.bodies import Checked, by_row, leniently, read_time
from moonx_pipeline.providers.classification import refusal
from moonx_pipeline.providers.coingecko_lines import PriceLine, read_price_lines
from moonx_pipeline.providers.errors import BatchTooLarge, ProviderError
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

_BATCH: Final = {True: 100, False: 30}  # with a paid plan, and without
COINS_A_CALL: Final = 250
"""Ids are in the query: with more of them it is refused as too long."""


class _Price(msgspec.Struct):
    usd: Decimal | None = None
    usd_24h_change: Decimal | None = None
    last_updated_at: Decimal | None = None
    error_code: Decimal | None = None  # only of the row "status" of a refusal


class _OddPrice(msgspec.Struct):
    usd: Decimal | None = None
    usd_24h_change: msgspec.Raw = msgspec.Raw(b"null")
    last_updated_at: msgspec.Raw = msgspec.Raw(b"null")
    error_code: Decimal | None = None


_odd_price: Final = msgspec.json.Decoder(_OddPrice)
_number: Final = msgspec.json.Decoder(Decimal)


class _OddPrices:
    """Rows that are not as documented: an unreadable change or time does not cost the price."""

    def decode(self, raw: msgspec.Raw) -> _Price:
        price = _odd_price.decode(raw)
        change, at = leniently(_number, price.usd_24h_change), leniently(_number, price.last_updated_at)
        return _Price(price.usd, change, at, price.error_code)


_decode = by_row(msgspec.json.Decoder(dict[str, _Price]), msgspec.json.Decoder(dict[str, msgspec.Raw]), _OddPrices())


class _Answer(Checked[dict[str, _Price]]):
    """Classifies answers; a refusal may come with status 200, and its own status in the body."""

    def __call__(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        error = super().__call__(status, headers, body)
        # "status" alone is no refusal: it is the id of a coin.
        row = None if error else self.value.get("status")
        if row is None or row.error_code is None:
            return error
        said = int(row.error_code) if 400 <= row.error_code < 600 else 500
        return refusal("coingecko", said, headers, body)


def is_paid_host(base_url: str) -> bool:
    """Whether the URL's host is that of paid plans, which takes the key in another header."""
    return (urlsplit(base_url).hostname or "").startswith("pro-")


def key_header(base_url: str, key: str | None) -> dict[str, str]:
    """The header with a key."""
    if not key:
        return {}
    return {"x-cg-pro-api-key" if is_paid_host(base_url) else "x-cg-demo-api-key": key}


class CoinGecko:
    """CoinGecko, with the operator's key if there is one. One instance a process, shared by its threads.

    Attributes:
        has_key: Without a key, each contract takes a call of its own; coins by their ids need none.
        batch_size: Contracts in a call; lowered if the plan allows fewer.
    """

    def __init__(self, base_url: str, *, http: HttpClient, has_key: bool) -> None:
        """Takes CoinGecko's URL; sends nothing yet.

        Args:
            base_url: Such as ``https://api.coingecko.com/api/v3``.
            http: The client, with ``coingecko`` as its provider and the key in its headers.
            has_key: Whether its headers have a key.
        """
        self.has_key = has_key
        self.batch_size = _BATCH[is_paid_host(base_url)]
        self._base_url = base_url.rstrip("/")
        self._http = http

    def coin_prices(self, ids: Sequence[str], scope: CallScope) -> dict[str, Quote]:
        """Prices of coins by CoinGecko's ids; coins without one are left out.

        Args:
            ids: At most ``COINS_A_CALL``.
            scope: Deadline and tally.

        Raises:
            ProviderError: CoinGecko did not answer.
        """
        return self._ask("simple/price", {"ids": ",".join(ids)}, scope, None)

    def token_prices(self, chain_id: int, addresses: Sequence[str], scope: CallScope) -> dict[str, Quote]:
        """Prices of tokens by contract; unlisted tokens are left out.

        Args:
            chain_id: Their chain.
            addresses: Lower-case contracts; split into several calls if the plan takes fewer in one.
            scope: Deadline and tally.

        Raises:
            ProviderError: CoinGecko did not answer.
        """
        found: dict[str, Quote] = {}
        rest = list(addresses)
        while rest:
            batch = rest[: self.batch_size]
            try:
                path = f"simple/token_price/{CHAIN_BY_ID[chain_id].coingecko_platform}"
                found |= self._ask(path, {"contract_addresses": ",".join(batch)}, scope, chain_id)
            except BatchTooLarge as error:
                if len(batch) == 1:
                    raise
                self.batch_size = min(error.limit or len(batch) // 2, len(batch) - 1)
                continue
            rest = rest[len(batch) :]
        return found

    def price_lines(self, ids: Sequence[str], scope: CallScope) -> dict[str, PriceLine]:
        """What coins were worth over the last seven days, by id; see ``read_price_lines``."""
        return read_price_lines(self._http, self._base_url, ids, scope)

    def _ask(self, path: str, which: Mapping[str, str], scope: CallScope, chain_id: int | None) -> dict[str, Quote]:
        answer = _Answer("coingecko", _decode, chain_id)
        self._http.send(
            Request(
                "GET",
                f"{self._base_url}/{path}",
                path.split("/")[1],
                chain_id=chain_id,
                params={
                    **which,
                    "vs_currencies": "usd",
                    "include_24hr_change": "true",
                    "include_last_updated_at": "true",
                    "precision": "full",
                },
            ),
            answer,
            scope=scope,
        )
        now = utc_now()
        # Contracts come in any case; the id of a coin is exact.
        named = ((name if chain_id is None else name.lower(), price) for name, price in answer.value.items())
        quotes = {name: _quote(price, now) for name, price in named}
        return {name: quote for name, quote in quotes.items() if quote is not None}


def _quote(price: _Price, now: datetime) -> Quote | None:
    if price.usd is None:
        return None
    try:
        usd = parse_price(price.usd)
    except ValueError:
        return None
    at, change = read_time(price.last_updated_at), parse_change(price.usd_24h_change)
    return Quote(PriceSource.COINGECKO, usd, at, now, change) if usd else None
