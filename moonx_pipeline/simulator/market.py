"""What each source of prices says of a token, together or each for itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Final

from moonx_pipeline.simulator.assets import BINANCE_BASE_OF_COIN
from moonx_pipeline.simulator.tokens import SimToken

SOURCES: Final = ("alchemy", "binance", "coingecko", "defillama", "dexscreener")
CHANGE_PERCENT: Final = Decimal("1.25")
"""How far every price moved in 24 hours, where nothing else was told."""

_WIDE: Final = Context(prec=24)
_SubjectOf = tuple[str, str]


def plain(number: Decimal) -> str:
    """A number without exponent and without needless zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def divided(part: Decimal, whole: Decimal) -> Decimal:
    """A quotient to 24 digits, as a provider would round it."""
    return _WIDE.divide(part, whole)


@dataclass(frozen=True, slots=True)
class SimQuote:
    """A price as a source states it.

    Attributes:
        price: USD, or USDT at Binance.
        at: When it was true, as far as the source tells.
        change_percent: Its move of the last 24 hours.
    """

    price: Decimal
    at: datetime
    change_percent: Decimal = CHANGE_PERCENT


@dataclass(slots=True)
class Market:
    """The market price of each token, and where a source differs from it.

    Attributes:
        prices: USD by name of the price.
    """

    prices: dict[str, Decimal]
    _said: dict[_SubjectOf, Decimal | None] = field(default_factory=dict)
    _ages: dict[_SubjectOf, timedelta] = field(default_factory=dict)
    _changes: dict[_SubjectOf, Decimal] = field(default_factory=dict)

    def differ(self, source: str, token: SimToken, price: Decimal | None) -> None:
        """Makes a source say another price of a token, or that it has none."""
        self._said[_subject(source, token)] = price

    def agree(self, source: str, token: SimToken) -> None:
        """Makes a source say again what the market says."""
        subject = _subject(source, token)
        self._said.pop(subject, None)
        self._ages.pop(subject, None)
        self._changes.pop(subject, None)

    def let_age(self, source: str, token: SimToken, age: timedelta) -> None:
        """Makes a source tell a price of some time ago."""
        self._ages[_subject(source, token)] = age

    def change(self, source: str, token: SimToken, percent: Decimal) -> None:
        """Makes a source tell another move of 24 hours."""
        self._changes[_subject(source, token)] = percent

    def usd(self, token: SimToken) -> Decimal | None:
        """What a token is worth, where the market has a price."""
        return self.prices.get(token.price) if token.price else None

    def quote(self, source: str, token: SimToken, now: datetime) -> SimQuote | None:
        """What a source says of a token; ``None`` where it says nothing."""
        subject = _subject(source, token)
        price = self._said[subject] if subject in self._said else self._usual(source, token)
        if price is None:
            return None
        at = now - self._ages.get(subject, timedelta())
        return SimQuote(price, at, self._changes.get(subject, CHANGE_PERCENT))

    def _usual(self, source: str, token: SimToken) -> Decimal | None:
        usd = self.usd(token)
        claimed = Decimal(token.alchemy_price) if token.alchemy_price else None
        if source == "binance":
            base = binance_base(token)
            return divided(self.prices[base], self.prices["USDT"]) if base else None
        if source == "coingecko":
            return usd if token.listed else None
        if source == "defillama":
            return usd if token.listed or token.pool_usd else None
        if source == "dexscreener":
            return usd if usd is not None else claimed
        return claimed if claimed is not None else usd


def binance_base(token: SimToken) -> str | None:
    """The base asset of the pair at Binance that trades this very token."""
    return BINANCE_BASE_OF_COIN.get(token.coin or "")


def _subject(source: str, token: SimToken) -> _SubjectOf:
    """What a source keeps a price of: a pair, a coin that has contracts on many chains, or one contract."""
    if source not in SOURCES:
        raise ValueError(f"There is no source of prices '{source}', only {', '.join(SOURCES)}.")
    if source == "binance":
        return source, binance_base(token) or token.address
    if source == "coingecko":
        return source, token.coin or token.address
    return source, f"{token.chain_id}:{token.address}"
