"""Pricing a portfolio's tokens: the book first, then the sources in the order of trust.

Only what is worth asking is asked: tokens whose entry is too old, never what is plainly spam, and at most
so many that a wallet of thousands of tokens costs a bounded number of calls; the next sync goes on there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from moonx_pipeline.domain.chains import CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.curated import BINANCE_SYMBOLS, CURATED, USDT_KEY
from moonx_pipeline.domain.portfolio import TokenInfo, TokenKey
from moonx_pipeline.domain.pricing import BookPrice, age_factor, choose_price, keep_price
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.domain.spam import metadata_reasons
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.breaking import Breakers
from moonx_pipeline.sync.order import PERSONAL_TRIGGERS
from moonx_pipeline.sync.quotes import MAX_ALCHEMY_ASKED, QuoteRound
from moonx_pipeline.sync.sources import Sources

PERSON_MAX_AGE: Final = timedelta(seconds=5)
"""Prices older than this are read anew for a person who asks."""

MAX_ASKED: Final = 300
"""Tokens beyond the curated ones whose price one sync asks for at most."""

ALWAYS_IN_BOOK: Final = frozenset({USDT_KEY, *(TokenKey(chain.id, NATIVE_TOKEN) for chain in CHAINS)})
"""Tokens whose entries pricing reads even where the user holds none: others are quoted in them."""


NO_WORTH: Final[Mapping[TokenKey, Decimal]] = {}


class PricePlan(NamedTuple):
    """Whose prices are asked for.

    Attributes:
        due: Tokens whose entry in the book is too old, asked or not.
        curated: Curated tokens to ask for.
        others: Other tokens to ask for.
    """

    due: set[TokenKey]
    curated: set[TokenKey]
    others: set[TokenKey]


@dataclass(slots=True)
class Pricing:
    """What pricing came to.

    Attributes:
        prices: An entry for each token that has one, fresh or not.
        learned: The entries that are new, for the book.
        outages: Sources that did not answer, and why.
    """

    prices: dict[TokenKey, BookPrice] = field(default_factory=dict)
    learned: dict[TokenKey, BookPrice] = field(default_factory=dict)
    outages: list[str] = field(default_factory=list)


def price_tokens(
    keys: Collection[TokenKey],
    *,
    tokens: Mapping[TokenKey, TokenInfo],
    book: Mapping[TokenKey, BookPrice],
    quotes: Mapping[TokenKey, Quote],
    sources: Sources,
    breakers: Breakers,
    trigger: str,
    scope: CallScope,
    now: datetime,
    worth: Mapping[TokenKey, Decimal] = NO_WORTH,
    syncs: int = 1,
) -> Pricing:
    """Prices tokens. A source that fails is an outage in the result, never an exception.

    Args:
        keys: The tokens.
        tokens: What they are called, as far as known.
        book: The book's entries so far of the tokens and of ``ALWAYS_IN_BOOK``.
        quotes: Prices that came along with the balances.
        sources: Whom to ask.
        breakers: Whom not to ask now.
        trigger: What started the sync: for a person, prices are read anew.
        scope: Deadline and tally.
        now: The time of reading.
        worth: What the largest holding of a token is worth in USD, as far as known.
        syncs: Of how many users the tokens are; so many times more are asked for.
    """
    due, curated, others = plan_prices(
        keys, tokens=tokens, book=book, quotes=quotes, sources=sources, trigger=trigger, now=now, worth=worth,
        syncs=syncs,
    )  # fmt: skip
    answers = QuoteRound(sources, breakers, scope, now, book, most_of_alchemy=MAX_ALCHEMY_ASKED * syncs)
    answers.add({key: quote for key, quote in quotes.items() if key in curated or key in others})
    answers.ask(curated, others)

    pricing = Pricing(outages=answers.outages)
    asked = curated | others
    for key in {*keys, *asked}:
        entry = book.get(key)
        if key in asked and (key in answers.quotes or key not in answers.unanswered):
            entry = pricing.learned[key] = choose_price(
                answers.quotes.get(key, {}),
                curated=key in CURATED,
                thin=key in answers.thin,
                previous=entry,
                read_at=now,
                limits=sources.price_limits,
                notes=answers.notes.get(key, ()),
            )
        elif entry is not None and key in due:
            entry = keep_price(entry, now=now, oldest=sources.stale_after)
        if entry is not None:
            pricing.prices[key] = entry
    return pricing


def plan_prices(
    keys: Collection[TokenKey],
    *,
    tokens: Mapping[TokenKey, TokenInfo],
    book: Mapping[TokenKey, BookPrice],
    quotes: Mapping[TokenKey, Quote],
    sources: Sources,
    trigger: str,
    now: datetime,
    worth: Mapping[TokenKey, Decimal] = NO_WORTH,
    syncs: int = 1,
) -> PricePlan:
    """Whom to ask for; see ``price_tokens``. It does no I/O."""
    max_age = max_price_age(sources, trigger)
    due = {key for key in keys if _is_due(book.get(key), max_age, now, worth.get(key))}
    curated = {key for key in due if key in CURATED}
    others = _worth_asking(due - curated, tokens, book, quotes, MAX_ASKED * syncs)
    # Pools are quoted in the native coin, and Binance in USDT: their prices are needed to judge the others.
    curated |= {key for key in _natives_of(others) if _is_due(book.get(key), sources.fresh_for, now)}
    if curated & BINANCE_SYMBOLS.keys() and _is_due(book.get(USDT_KEY), sources.fresh_for, now):
        curated.add(USDT_KEY)
    return PricePlan(due, curated, others)


def max_price_age(sources: Sources, trigger: str) -> timedelta:
    """How old a price may be that matters."""
    return PERSON_MAX_AGE if trigger in PERSONAL_TRIGGERS else sources.fresh_for


def _is_due(entry: BookPrice | None, max_age: timedelta, now: datetime, worth: Decimal | None = None) -> bool:
    if entry is None:
        return True
    return now - entry.read_at > max_age * age_factor(entry.price_usd is not None, worth)


def _natives_of(keys: Iterable[TokenKey]) -> set[TokenKey]:
    return {TokenKey(key.chain_id, NATIVE_TOKEN) for key in keys}


def _worth_asking(
    wanted: Iterable[TokenKey],
    tokens: Mapping[TokenKey, TokenInfo],
    book: Mapping[TokenKey, BookPrice],
    quotes: Mapping[TokenKey, Quote],
    most: int,
) -> set[TokenKey]:
    """The tokens to ask about: those once priced first, then those with a claim, then the longest unasked."""
    candidates = [key for key in wanted if key not in tokens or not metadata_reasons(tokens[key])]

    def urgency(key: TokenKey) -> tuple[bool, bool, float, TokenKey]:
        entry = book.get(key)
        never_priced = entry is None or entry.price_usd is None
        return (never_priced, key not in quotes, entry.read_at.timestamp() if entry else 0, key)

    return set(sorted(candidates, key=urgency)[:most])
