"""What the domain's rules are tried on: wallets, balances, tokens and prices, plain ones and drawn ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import CHAINS, ETHEREUM, NATIVE_TOKEN
from moonx_pipeline.domain.events import Event, SyncFacts, portfolio_updated
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.portfolio import MAX_BALANCE, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import (
    OLD_PRICE,
    PRICE_JUMP,
    SOURCES_DISAGREE,
    THIN_LIQUIDITY,
    UNCONFIRMED_PRICE,
    BookPrice,
    PriceLimits,
)
from moonx_pipeline.domain.valuation import Valuer, totals_of

# How long one example takes says nothing of a rule, and on a busy machine it varies.
settings.register_profile("rules", deadline=None)
settings.load_profile("rules")

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(milliseconds=1500)
WALLET = "0x" + "ab" * 20
OTHER_WALLET = "0x" + "cd" * 20
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
LIMITS = PriceLimits()
FACTS = SyncFacts(UUID(int=1), "user-1", WALLET, "manual", NOON, retry_count=2)


def token(number: int) -> str:
    return f"0x{number:040x}"


def holding(number: int = 1, balance: int = 2_500_000, *, flags: tuple[str, ...] = ()) -> Holding:
    return Holding(WALLET, ETHEREUM.id, token(number), balance, flags)


def price(
    usd: str | None = "1.5",
    source: str | None = "dexscreener",
    *,
    flags: tuple[str, ...] = (),
    change: str | None = None,
) -> BookPrice:
    if usd is None:
        return BookPrice(None, None, None, None, None, flags, NOON)
    return BookPrice(Decimal(usd), source, NOON, None, None if change is None else Decimal(change), flags, NOON)


def updated(
    positions: tuple[Position, ...], facts: SyncFacts = FACTS, stale: tuple[int, ...] = (), version: int = 7
) -> Event:
    """The event that tells of a portfolio."""
    totals = totals_of(positions, stale)
    return portfolio_updated(facts, version=version, at=LATER, duration_ms=1500, positions=positions, totals=totals)


def envelope(event: Event, event_type: str, at: str, data: dict[str, Any]) -> dict[str, Any]:
    """The whole value of an event of ``FACTS``."""
    return {
        "eventId": str(event.id),
        "eventType": event_type,
        "userId": "user-1",
        "walletAddress": WALLET,
        "version": 7,
        "timestamp": at,
        "data": data,
    }


def without_floats(value: object) -> bool:
    """Whether no float is anywhere in a value, however deep."""
    return not any(isinstance(part, float) for part in _parts(value))


def _parts(value: object) -> Iterator[object]:
    yield value
    if isinstance(value, Mapping):
        inner: list[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    elif is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, field.name) for field in fields(value)]
    else:
        inner = []
    for part in inner:
        yield from _parts(part)


def _decimal(digits: int, exponent: int) -> Decimal:
    return Decimal(f"{digits}E{exponent}")


wallets = st.sampled_from([WALLET, OTHER_WALLET])
chain_ids = st.sampled_from([chain.id for chain in CHAINS])
addresses = st.one_of(st.integers(1, 6).map(token), st.sampled_from([NATIVE_TOKEN, USDC]))
balances = st.one_of(
    st.integers(0, MAX_BALANCE), st.integers(0, 10**20), st.sampled_from([0, 1, MAX_BALANCE - 1, MAX_BALANCE])
)
decimals = st.integers(0, 77)
prices = st.one_of(
    st.builds(_decimal, st.integers(0, 10**40), st.integers(-70, 70)),
    st.sampled_from(["0", "1", "1E+119", "1E-119", "0.10", "1E+3"]).map(Decimal),
)
changes = st.none() | st.builds(_decimal, st.integers(-(10**6), 10**6), st.integers(-4, 2))
infos = st.builds(
    TokenInfo,
    st.sampled_from(["TKN", "USDC", "claim now", "", None]),
    st.sampled_from(["Token", "visit scam.xyz", None]),
    st.none() | decimals,
    st.sampled_from([None, "https://logos.test/1.png"]),
)
book_prices = st.one_of(
    st.builds(
        BookPrice,
        price_usd=prices,
        source=st.sampled_from(["binance", "coingecko", "alchemy", "dexscreener"]),
        price_at=st.just(NOON),
        liquidity_usd=st.none() | prices,
        change_24h=changes,
        flags=st.sets(st.sampled_from([SOURCES_DISAGREE, OLD_PRICE, PRICE_JUMP, UNCONFIRMED_PRICE])).map(
            lambda flags: tuple(sorted(flags))
        ),
        read_at=st.just(NOON),
    ),
    st.sampled_from([price(None), price(None, flags=(THIN_LIQUIDITY,))]),
)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Position, ...]:
    """Positions of tokens that are priced or not, described or not, spam or not; each at most once."""
    places = st.tuples(wallets, chain_ids, addresses)
    held = draw(st.dictionaries(places, st.tuples(balances, st.booleans()), max_size=8))
    holdings = [Holding(*place, balance, (), stale) for place, (balance, stale) in held.items()]
    keys = sorted({TokenKey(h.chain_id, h.token) for h in holdings})
    tokens = {key: draw(infos) for key in keys if draw(st.integers(0, 3))}
    book = {key: draw(book_prices) for key in keys if draw(st.integers(0, 3))}
    return Valuer(tokens, book, LIMITS).positions(holdings)
