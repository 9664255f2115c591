"""The price of a token at each source: the market's, or the source's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Final

from moonx_pipeline.simulator.assets import BINANCE_BASE_OF_COIN
from moonx_pipeline.simulator.tokens import SimToken

SOURCES: Final = ("alchemy", "binance", "coingecko", "defillama", "dexscreener")
CHANGE_PERCENT: Final = Decimal("1.25")
"""The default move of every price in 24 hours."""

_WIDE: Final = Context(prec=24)
_SubjectOf = tuple[str, str]


def plain(number: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def divided(part: Decimal, whole: Decimal) -> Decimal:
    """A quotient rounded to 24 digits, like a provider's."""
    return _WIDE.divide(part, whole)


@dataclass(frozen=True, slots=True)
class SimQuote:
    """A price as a source gives it.

    Attributes:
        price: USD, or USDT at Binance.
        at: Its time, as far as the source gives one.
        change_percent: Its move in the last 24 hours.
    """

    price: Decimal
    at: datetime
    change_percent: Decimal = CHANGE_PERCENT


@dataclass(slots=True)
class Market:
    """The market price of each token, and the sources that differ from it.

    Attributes:
        prices: USD by name of the price.
    """

    prices: dict[str, Decimal]
    _said: dict[_SubjectOf, Decimal | None] = field(default_factory=dict)
    _ages: dict[_SubjectOf, timedelta] = field(default_factory=dict)
    _changes: dict[_SubjectOf, Decimal] = field(default_factory=dict)

    def differ(self, source: str, token: SimToken, price: Decimal | None) -> None:
        """Makes a source give its own price of a token, or none."""
        self._said[_subject(source, token)] = price

    def agree(self, source: str, token: SimToken) -> None:
        """Makes a source give the market price again."""
        subject = _subject(source, token)
        self._said.pop(subject, None)
        self._ages.pop(subject, None)
        self._changes.pop(subject, None)

    def let_age(self, source: str, token: SimToken, age: timedelta) -> None:
        """Makes a source give a price of this age."""
        self._ages[_subject(source, token)] = age

    def change(self, source: str, token: SimToken, percent: Decimal) -> None:
        """Makes a source give another move in 24 hours."""
        self._changes[_subject(source, token)] = percent

    def usd(self, token: SimToken) -> Decimal | None:
        """A token's market price in USD; ``None`` if there is none."""
        return self.prices.get(token.price) if token.price else None

    def quote(self, source: str, token: SimToken, now: datetime) -> SimQuote | None:
        """A source's quote of a token; ``None`` if it has none."""
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
    """The base asset of Binance's pair for this token."""
    return BINANCE_BASE_OF_COIN.get(token.coin or "")


def _subject(source: str, token: SimToken) -> _SubjectOf:
    """The subject of a source's price: a pair, a coin with contracts on many chains, or one contract."""
    if source not in SOURCES:
        raise ValueError(f"There is no source of prices '{source}', only {', '.join(SOURCES)}.")
    if source == "binance":
        return source, binance_base(token) or token.address
    if source == "coingecko":
        return source, token.coin or token.address
    return source, f"{token.chain_id}:{token.address}"
