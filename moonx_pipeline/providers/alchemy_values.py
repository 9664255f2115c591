"""Values in Alchemy's answers: contracts, balances, metadata, prices. A malformed value is unknown, not an error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from moonx_pipeline.domain.money import MAX_DECIMALS, parse_price
from moonx_pipeline.domain.portfolio import TokenInfo
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.bodies import clean_text, leniently, read_time

NOTHING: Final = msgspec.Raw(b"null")

_CONTRACT: Final = re.compile("0x[0-9a-f]{40}")
_HEX: Final = re.compile("0[xX][0-9a-fA-F]{1,64}")
_WORD: Final = 64  # hex digits of 32 bytes
_LONGEST_URL: Final = 2000


class TokenMetadata(msgspec.Struct, rename="camel"):
    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None
    logo: str | None = None


class _OddMetadata(msgspec.Struct, rename="camel"):
    symbol: msgspec.Raw = NOTHING
    name: msgspec.Raw = NOTHING
    decimals: msgspec.Raw = NOTHING
    logo: msgspec.Raw = NOTHING


class TokenPrice(msgspec.Struct, rename="camel"):
    currency: str
    value: Decimal
    last_updated_at: str | float | None = None


_metadata: Final[msgspec.json.Decoder[TokenMetadata | None]] = msgspec.json.Decoder(TokenMetadata | None)
_odd_metadata: Final = msgspec.json.Decoder(_OddMetadata)
_prices: Final[msgspec.json.Decoder[list[TokenPrice] | None]] = msgspec.json.Decoder(list[TokenPrice] | None)
_odd_prices: Final = msgspec.json.Decoder(list[msgspec.Raw])
_price: Final = msgspec.json.Decoder(TokenPrice)
_text: Final = msgspec.json.Decoder(str)
_number: Final = msgspec.json.Decoder(Decimal)


def read_text(raw: msgspec.Raw) -> str | None:
    """A text; ``None`` for anything else."""
    return leniently(_text, raw)


def contract_of(text: str) -> str | None:
    """A contract's address in lower case; ``None`` for anything else."""
    address = text.lower()
    return address if _CONTRACT.fullmatch(address) else None


def parse_balance(text: str | None) -> int | None:
    """A raw balance from hex; ``None`` if there is no number to read, which is unknown and not 0.

    ``0x`` is no number: a contract without code answers it. If a contract answers with more than one word, the
    balance is the first, as every decoder of Ethereum's ABI reads a ``uint256``.
    """
    # Not by a pattern: a sweep reads millions. What int() takes beyond digits (signs, spaces, _) is not alphanumeric.
    if text is None or text[:2] not in ("0x", "0X") or not (text.isascii() and text.isalnum()):
        return None
    digits = text[2:]
    if not digits:
        return None
    if len(digits) > _WORD:
        if len(digits) % _WORD:
            return None
        digits = digits[:_WORD]
    try:
        return int(f"0{digits}", 16)  # with the 0, a second "0x" is refused
    except ValueError:
        return None


def read_metadata(raw: msgspec.Raw) -> TokenInfo | None:
    """A token's metadata, each field decoded by itself; ``None`` if there is none at all."""
    try:
        metadata = _metadata.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _odd_info(raw)
    return None if metadata is None else _info(metadata.symbol, metadata.name, metadata.decimals, metadata.logo)


def _odd_info(raw: msgspec.Raw) -> TokenInfo | None:
    odd = leniently(_odd_metadata, raw)
    if odd is None:
        return None
    return _info(read_text(odd.symbol), read_text(odd.name), _read_decimals(odd.decimals), read_text(odd.logo))


def _read_decimals(raw: msgspec.Raw) -> int | None:
    """Decimals that are no integer in JSON: 18.0, a text of digits, or of hex ones."""
    text = read_text(raw) or ""
    if _HEX.fullmatch(text):
        return int(text, 16)
    number = leniently(_number, raw)
    if number is None or not number.is_finite() or not 0 <= number <= MAX_DECIMALS or number % 1:
        return None
    return int(number)


def _info(symbol: str | None, name: str | None, decimals: int | None, logo: str | None) -> TokenInfo:
    known = decimals if decimals is not None and 0 <= decimals <= MAX_DECIMALS else None
    return TokenInfo(clean_text(symbol), clean_text(name), known, clean_text(logo, _LONGEST_URL))


def read_quote(raw: msgspec.Raw, now: datetime) -> Quote | None:
    """The USD price among a token's prices; ``None`` if none is readable."""
    prices = leniently(_prices, raw)
    if prices is None:
        rows = leniently(_odd_prices, raw) or [raw]  # an early version sent an object instead of the list
        prices = [price for row in rows if (price := leniently(_price, row)) is not None]
    return _quote_of(prices, now)


def _quote_of(prices: Iterable[TokenPrice], now: datetime) -> Quote | None:
    for price in prices:
        if price.currency.lower() != "usd":
            continue
        try:
            usd = parse_price(price.value)
        except ValueError:
            continue
        if usd:
            return Quote(PriceSource.ALCHEMY, usd, read_time(price.last_updated_at), now)
    return None
