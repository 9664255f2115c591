"""The values in Alchemy's answers: balances, metadata, prices."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from moonx_pipeline.domain.money import MAX_DECIMALS, parse_price
from moonx_pipeline.domain.portfolio import MAX_BALANCE, TokenInfo
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.bodies import clean_text
from moonx_pipeline.providers.errors import Malformed

_T = TypeVar("_T")


class TokenMetadata(msgspec.Struct, rename="camel"):
    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None
    logo: str | None = None


class TokenPrice(msgspec.Struct, rename="camel"):
    currency: str
    value: str
    last_updated_at: str | None = None


_metadata = msgspec.json.Decoder(TokenMetadata | None)
_prices = msgspec.json.Decoder(list[TokenPrice] | TokenPrice | None)


def _leniently(decoder: msgspec.json.Decoder[_T], raw: msgspec.Raw) -> _T | None:
    """What is odd about a name or a price must not cost the balance beside it."""
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def read_metadata(raw: msgspec.Raw) -> TokenInfo | None:
    """Metadata that came along with a balance; ``None`` where there is none that can be read."""
    metadata = _leniently(_metadata, raw)
    return token_info(metadata) if metadata is not None else None


def read_quote(raw: msgspec.Raw, now: datetime) -> Quote | None:
    """The price that came along with a balance; ``None`` where there is none that can be read."""
    prices = _leniently(_prices, raw) or []
    return quote_of([prices] if isinstance(prices, TokenPrice) else prices, now)


def parse_balance(text: str | None, token: str, chain_id: int) -> int | None:
    """A raw balance from hex; ``None`` where the provider has no number to give (``0x`` is none, not 0).

    Raises:
        Malformed: It is no balance that a contract can hold.
    """
    if text is None or text == "0x":
        return None
    try:
        balance = int(text, 16)
    except ValueError:
        balance = -1
    if not text.startswith("0x") or not 0 <= balance <= MAX_BALANCE:
        raise Malformed(
            f"alchemy sent '{text[:80]}' as the balance of {token} on chain {chain_id}, which is no balance.",
            provider="alchemy",
            chain_id=chain_id,
        )
    return balance


def token_info(metadata: TokenMetadata) -> TokenInfo:
    """Metadata with what can't be true left unknown."""
    decimals = metadata.decimals
    known = decimals if decimals is not None and 0 <= decimals <= MAX_DECIMALS else None
    return TokenInfo(clean_text(metadata.symbol), clean_text(metadata.name), known, clean_text(metadata.logo, 2000))


def quote_of(prices: Iterable[TokenPrice], now: datetime) -> Quote | None:
    """Alchemy's price in USD, where it has one that is a price."""
    for price in prices:
        if price.currency.lower() == "usd":
            try:
                usd = parse_price(price.value)
                at = datetime.fromisoformat(price.last_updated_at) if price.last_updated_at else None
            except ValueError:
                return None
            if at is not None and at.tzinfo is None:
                at = at.replace(tzinfo=UTC)
            return Quote(PriceSource.ALCHEMY, usd, at, now) if usd else None
    return None
