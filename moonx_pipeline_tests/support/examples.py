"""What the domain's rules are tried on: wallets, balances, tokens and what sources say of them, plain and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import ETHEREUM, KNOWN_CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.events import Event, SyncRef, portfolio_updated
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Accepted, DepthState, Evidence, PoolDepth
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.identity import Listing
from moonx_pipeline.domain.market import Known, Market
from moonx_pipeline.domain.portfolio import MAX_BALANCE, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.price_limits import PriceLimits
from moonx_pipeline.domain.quotes import ASKED_SOURCES, PriceSource, Quote
from moonx_pipeline.domain.valuation import Valuer, totals_of

T = TypeVar("T")

# How long one example takes says nothing of a rule, and on a busy machine it varies.
settings.register_profile("rules", deadline=None)
settings.load_profile("rules")

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(milliseconds=1500)
NOW = timedelta(0)
WALLET = "0x" + "ab" * 20
OTHER_WALLET = "0x" + "cd" * 20
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
LIMITS = PriceLimits()
FRESH = timedelta(minutes=5)
FACTS = SyncRef(UUID(int=1), "user-1", WALLET, "manual", NOON, retry_count=2)
LISTED = Listing("TKN", "Token", "https://logos.test/listed.png", None, ("optimism",))
DEEP, THIN, UNKNOWN = DepthState


def token(number: int) -> str:
    return f"0x{number:040x}"


def key_of(number: int = 1, chain_id: int = 1) -> TokenKey:
    return TokenKey(chain_id, token(number))


def holding(number: int = 1, balance: int = 2_500_000, *, flags: tuple[str, ...] = ()) -> Holding:
    return Holding(WALLET, ETHEREUM.id, token(number), balance, flags)


def quote(
    source: PriceSource | str,
    usd: str | Decimal = "1.5",
    *,
    read: timedelta = NOW,
    said: timedelta | None = None,
    change: str | None = None,
    at_par: bool = False,
) -> Quote:
    """A quote that was read a time before noon, and that its source says is of a time before noon."""
    return Quote(
        PriceSource(source),
        Decimal(usd),
        None if said is None else NOON - said,
        NOON - read,
        None if change is None else Decimal(change),
        at_par,
    )


def depth(state: DepthState = DEEP, usd: str | None = "50000", *, read: timedelta = NOW) -> PoolDepth:
    """The depth of pools that were read a time before noon."""
    return PoolDepth(state, None if usd is None or state is UNKNOWN else Decimal(usd), NOON - read)


def evidence(
    *quotes: Quote,
    depth: PoolDepth | None = None,
    asked: timedelta | None = None,
    accepted: tuple[str, timedelta] | None = None,
) -> Evidence:
    """What sources said of a token.

    Args:
        quotes: Their prices.
        depth: Of its pools.
        asked: How long before noon a source that knows pools answered; by default, if it said anything, when it did.
        accepted: Its last accepted price, and how long before noon that was.
    """
    answered = {quote.source: quote.read_at for quote in quotes}
    if depth is not None:
        answered.setdefault(PriceSource.DEXSCREENER, depth.at)
    if asked is not None:
        answered[PriceSource.DEXSCREENER] = NOON - asked
    before = Accepted(Decimal(accepted[0]), NOON - accepted[1]) if accepted else None
    return Evidence({quote.source: quote for quote in quotes}, answered, depth, before)


def market_of(
    known: Mapping[TokenKey, Known | Evidence], *, now: datetime = NOON, limits: PriceLimits = LIMITS
) -> Market:
    """A market in which this is stored of tokens; where only evidence is given, no list names the contract."""
    stored = {key: what if isinstance(what, Known) else Known(None, what) for key, what in known.items()}
    return Market(stored, now=now, limits=limits, fresh_for=FRESH, old_after=FRESH)


def updated(
    positions: tuple[Position, ...], facts: SyncRef = FACTS, stale: tuple[int, ...] = (), version: int = 7
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
chain_ids = st.sampled_from([chain.id for chain in KNOWN_CHAINS])
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
    st.sampled_from([None, 0, 6, 18, 77]),
)
# Around the bounds of every rule: some agree, some differ, some are far apart, and some are of any size.
_NEAR = ["1", "1.05", "1.1", "1.2", "9", "12", "0.05", "130", "1E-70", "123456789E+60"]
_AGES = [timedelta(minutes=minutes) for minutes in (0, 0, 2, 6, 50, 61, 23 * 60, 25 * 60, 8 * 24 * 60)]
_SAID = [None, None, None, *_AGES]
_DEPTHS = [None, *(depth(state, usd) for state, usd in product(DepthState, ["0", "9999", "1E6"]))]
near_prices = st.sampled_from(_NEAR).map(Decimal)
ages = st.sampled_from(_AGES)


def _evidence_of(choices: bytes) -> Evidence:
    """Evidence of any kind and age, a byte a choice; zeros are nothing at all."""
    rest = iter(choices)

    def one(of: Sequence[T]) -> T:
        return of[next(rest) % len(of)]

    said = []
    for source in PriceSource:
        usd, read, when, more = one([None, None, *_NEAR]), one(_AGES), one(_SAID), one(range(6))
        if usd is not None:
            change = (None, "-1.5", "0")[more % 3]
            said.append(quote(source, usd, read=read, said=when, change=change, at_par=more > 4))
    silent = {source: NOON - one(_AGES) for source in PriceSource if one(range(3)) == 2}
    found, pools, at = evidence(*said), one(_DEPTHS), NOON - one(_AGES)
    accepted, accepted_at = one([None, *_NEAR]), NOON - one(_AGES)
    return Evidence(
        found.quotes,
        found.answered | {source: max(time, found.answered.get(source, time)) for source, time in silent.items()},
        pools._replace(at=at) if pools else None,
        Accepted(Decimal(accepted), accepted_at) if accepted else None,
    )


# Drawn as one, since an example that takes many draws takes long.
evidences = st.binary(min_size=40, max_size=40).map(_evidence_of)
stored_evidences = evidences.map(
    lambda known: known._replace(
        quotes={source: said for source, said in known.quotes.items() if source in ASKED_SOURCES},
        answered={source: at for source, at in known.answered.items() if source in ASKED_SOURCES},
    )
)
"""Evidence without what follows from another token's price, which is never stored."""
knowns = st.builds(
    Known,
    st.sampled_from([None, None, LISTED, LISTED._replace(coingecko_id="usd-coin")]),
    st.just(NO_EVIDENCE) | stored_evidences,
)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Position, ...]:
    """Positions of tokens that are priced or not, described or not, spam or not; each at most once."""
    places = st.tuples(wallets, chain_ids, addresses)
    held = draw(st.dictionaries(places, st.tuples(balances, st.booleans()), max_size=6))
    holdings = [Holding(*place, balance, (), stale) for place, (balance, stale) in held.items()]
    keys = sorted({TokenKey(h.chain_id, h.token) for h in holdings})
    tokens = {key: draw(infos) for key in keys if draw(st.integers(0, 3))}
    known = {key: draw(knowns) for key in keys if draw(st.integers(0, 3))}
    return Valuer(tokens, market_of(known)).positions(holdings)
