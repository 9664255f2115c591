"""Choosing the price of a token of some kind, and what a reader sees of the choice."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from moonx_pipeline.domain.evidence import Evidence
from moonx_pipeline.domain.identity import UNLISTED, Identity
from moonx_pipeline.domain.pricing import Choice, choose_price
from moonx_pipeline_tests.support.examples import FRESH, LIMITS, LISTED, NOON

A_SECOND, AN_HOUR, A_DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
OLD: Final = FRESH + A_SECOND

NAMED: Final = Identity(LISTED)
"""A token that a list names."""

MAJOR: Final = Identity(LISTED, coingecko_id="chainlink", is_major=True, binance_symbol="LINKUSDT")
DOLLAR: Final = Identity(LISTED, coingecko_id="tether", is_major=True, is_dollar=True)


def choose(known: Evidence, identity: Identity = UNLISTED, *, oldest: timedelta | None = None) -> Choice:
    """The choice at noon."""
    return choose_price(known, identity, now=NOON, limits=LIMITS, fresh_for=FRESH, oldest=oldest)


def said(choice: Choice) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Whose price was chosen, by which rule, and what to know of it."""
    return choice.quote.source.value if choice.quote else None, choice.rule, choice.flags


def use_of(choice: Choice) -> dict[str, str]:
    """What became of each source's quote."""
    return {use.quote.source.value: use.use for use in choice.uses}
