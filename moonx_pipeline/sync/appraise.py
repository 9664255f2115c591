"""What positions are made of beyond the readings: the names and prices of tokens, known or asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Engine

from moonx_pipeline.domain.curated import CURATED
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.money import amount_of, value_of
from moonx_pipeline.domain.portfolio import ChainBalances, TokenKey
from moonx_pipeline.domain.quotes import Quote
from moonx_pipeline.domain.valuation import Valuer
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.price_book import TokenBook, read_book, write_book
from moonx_pipeline.sync.describe import describe_tokens, undescribed
from moonx_pipeline.sync.order import OpenSync
from moonx_pipeline.sync.price import ALWAYS_IN_BOOK, max_price_age, plan_prices, price_tokens
from moonx_pipeline.sync.repeat import in_database
from moonx_pipeline.sync.sources import Sources, Turns


def appraise(
    database: Engine,
    sources: Sources,
    sync: OpenSync,
    book: TokenBook,
    *,
    book_at: float,
    keys: set[TokenKey],
    syncs: int,
    holdings: Sequence[Holding],
    readings: Sequence[ChainBalances],
    quotes: Mapping[TokenKey, Quote],
    scope: CallScope,
    now: datetime,
) -> tuple[Valuer, tuple[str, ...]]:
    """Names and prices of tokens; what the book does not know, or too long ago, is asked for and put into it.

    Args:
        database: In autocommit mode.
        sources: Whom to ask.
        sync: One of those for which it is asked.
        book: What is known of ``keys`` and of ``ALWAYS_IN_BOOK``.
        book_at: ``time.monotonic()`` before it was read.
        keys: The tokens.
        syncs: Of how many users they are; so much more may be asked for.
        holdings: Who holds how much of them; what nobody holds much of is asked for less often.
        readings: What came along with the balances.
        quotes: Prices that came along with the balances.
        scope: Deadline and tally.
        now: The time of reading.

    Returns:
        What was found, and why sources of prices did not answer.
    """
    trigger = sync.order.trigger
    worth = _worth(holdings, book, trigger, sources, now)

    def asks(known: TokenBook) -> bool:
        plan = plan_prices(
            keys, tokens=known.tokens, book=known.prices, quotes=quotes, sources=sources, trigger=trigger, now=now,
            worth=worth, syncs=syncs,
        )  # fmt: skip
        return bool(plan.curated or plan.others or undescribed(keys, known.tokens, readings))

    if not asks(book):
        return Valuer(book.tokens, book.prices, sources.price_limits), ()
    with _turn(sources.asking, scope):
        if sources.asking.ended > book_at:
            # Another has asked since, and for much of the same.
            def read() -> TokenBook:
                with database.connect() as connection:
                    return read_book(connection, keys | ALWAYS_IN_BOOK)

            book = in_database(sources.repeats, sync.deadline, read)
        tokens = dict(book.tokens)
        described = describe_tokens(keys, tokens, readings, sources, sync.breakers, scope, syncs=syncs)
        tokens |= {key: info for key, (info, _) in described.items()}
        pricing = price_tokens(
            keys, tokens=tokens, book=book.prices, quotes=quotes, sources=sources, breakers=sync.breakers,
            trigger=trigger, scope=scope, now=now, worth=worth, syncs=syncs,
        )  # fmt: skip
        if described or pricing.learned:

            def write() -> None:
                with database.connect() as connection:
                    write_book(connection, tokens=described, prices=pricing.learned)

            in_database(sources.repeats, sync.deadline, write)
            sources.asking.ended = time.monotonic()
    return Valuer(tokens, pricing.prices, sources.price_limits), tuple(pricing.outages)


_LONGEST_TURN: Final = 3.0
"""Seconds. Who has waited so long asks beside the other: he may hang, or be a run that was cancelled."""


@contextmanager
def _turn(turns: Turns, scope: CallScope) -> Iterator[None]:
    """Syncs side by side in one process ask one after the other, since they ask for the same."""
    taken = turns.lock.acquire(timeout=min(_LONGEST_TURN, scope.remaining()))
    try:
        yield
    finally:
        if taken:
            turns.lock.release()


def _worth(
    holdings: Iterable[Holding], book: TokenBook, trigger: str, sources: Sources, now: datetime
) -> dict[TokenKey, Decimal]:
    """What the largest holding of each token is worth by the book, for those whose price is not fresh."""
    max_age = max_price_age(sources, trigger)
    aged = {
        key: (price.price_usd, info.decimals)
        for key, price in book.prices.items()
        if price.price_usd is not None
        and now - price.read_at > max_age
        and key not in CURATED
        and (info := book.tokens.get(key)) is not None
    }
    worth: dict[TokenKey, Decimal] = {}
    if not aged:
        return worth
    for holding in holdings:
        key = TokenKey(holding.chain_id, holding.token)
        price_usd, decimals = aged.get(key, (None, None))
        if price_usd is not None and decimals is not None:
            worth[key] = max(worth.get(key, Decimal(0)), value_of(amount_of(holding.balance, decimals), price_usd))
    return worth
