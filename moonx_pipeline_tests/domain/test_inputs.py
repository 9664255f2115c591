"""The digest of a portfolio's inputs: where it is equal, a valuation of both gives the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonx_pipeline.domain.content_hash import content_hash
from moonx_pipeline.domain.evidence import Evidence
from moonx_pipeline.domain.holdings import Pair, holdings_after, unread_after
from moonx_pipeline.domain.inputs import InputsDigest
from moonx_pipeline.domain.market import Known
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenInfo, TokenKey
from moonx_pipeline.domain.valuation import Totals, Valuer, totals_of
from moonx_pipeline_tests.support.examples import (
    LIMITS,
    LISTED,
    NOON,
    OTHER_WALLET,
    UNKNOWN,
    WALLET,
    ages,
    depth,
    evidence,
    key_of,
    market_of,
    quote,
    token,
)

READ = ChainBalances(WALLET, 1, ChainOutcome.OK, {token(1): 2_500_000, token(2): 7})
KNOWN: dict[TokenKey, Known | Evidence] = {
    key_of(1): evidence(quote("dexscreener", "1.5", change="2"), depth=depth(usd="50000")),
    key_of(2): Known(LISTED, evidence(quote("coingecko", "3"))),
}
INFOS = {key_of(1): TokenInfo("TKN", "Token", 6, "https://logos.test/1.png"), key_of(2): TokenInfo("TWO", "Two", 0)}


class Case:
    """Readings and what is known of their tokens: the digest, and what a full valuation gives."""

    def __init__(
        self,
        readings: list[ChainBalances],
        known: Mapping[TokenKey, Known | Evidence] = KNOWN,
        infos: Mapping[TokenKey, TokenInfo] = INFOS,
        *,
        later: timedelta = timedelta(0),
        stored: Mapping[Pair, Mapping[str, int]] | None = None,
        limits: Any = LIMITS,
    ) -> None:
        self.readings, self.known, stored = readings, known, stored or {}
        self.valuer = Valuer(dict(infos), market_of(known, now=NOON + later, limits=limits))
        self.held = holdings_after(readings, stored)
        self.unread = unread_after(readings, stored, {})

    def digest(self) -> bytes:
        return InputsDigest(self.valuer).of(self.held, self.readings, self.unread)

    def full(self) -> tuple[bytes, Totals]:
        positions = self.valuer.positions(self.held)
        stale = [(r.wallet, r.chain_id) for r in self.readings if not r.is_current]
        totals = totals_of(positions, {chain_id for _, chain_id in stale}, sum(self.unread.values()))
        return content_hash(positions, stale, self.unread), totals


outcomes = st.sampled_from([ChainOutcome.OK, ChainOutcome.OK, ChainOutcome.KEPT, ChainOutcome.FAILED])
small = st.sampled_from([0, 7, 2_500_000])
prices = st.sampled_from(["1.5", "1.50", "3", "30000"])
infos = st.sampled_from([None, TokenInfo("TKN", "Token", 6), TokenInfo("TKN", "Token", 0), TokenInfo("t.me/x", "x", 6)])


@st.composite
def readings(draw: st.DrawFn) -> ChainBalances:
    return ChainBalances(
        WALLET,
        draw(st.sampled_from([1, 10])),
        draw(outcomes),
        {token(n): draw(small) for n in draw(st.sets(st.integers(1, 2)))},
        unknown=frozenset(token(n) for n in draw(st.sets(st.integers(2, 3), max_size=1))),
    )


@st.composite
def facts(draw: st.DrawFn) -> Known | Evidence:
    sources = draw(st.sets(st.sampled_from(["dexscreener", "coingecko", "alchemy"]), max_size=2))
    quotes = [quote(source, draw(prices), read=draw(ages)) for source in sorted(sources)]
    pools = draw(st.sampled_from([None, depth(usd="50000"), depth(usd="20000"), depth(UNKNOWN), depth(usd="2")]))
    said = evidence(*quotes, depth=pools, asked=draw(st.sampled_from([None, timedelta(0)])))
    return Known(LISTED, said) if draw(st.booleans()) else said


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Of so few values that equal digests are common."""
    keys = [TokenKey(chain_id, token(n)) for chain_id in (1, 10) for n in (1, 2)]
    return Case(
        draw(st.lists(readings(), max_size=2, unique_by=lambda r: r.chain_id)),
        {key: draw(facts()) for key in keys},
        {key: info for key in keys if (info := draw(infos)) is not None},
        later=draw(st.sampled_from([timedelta(0), timedelta(minutes=4), timedelta(hours=25)])),
        stored={(WALLET, 1): {token(3): 5}},
    )


@st.composite
def near(draw: st.DrawFn) -> tuple[Case, Case]:
    """Two cases that are the same, or differ in one of the things that a case is made of."""
    one = draw(cases())
    other = draw(cases())
    return one, draw(st.sampled_from([one, other]))


@pytest.mark.slow
@settings(max_examples=400)
@given(near())
def test_equal_inputs_have_equal_portfolios_and_totals(pair: tuple[Case, Case]) -> None:
    one, other = pair
    if one.digest() == other.digest():
        assert one.full() == other.full()
    else:
        assert one is not other


@given(cases(), st.sampled_from([timedelta(0), timedelta(minutes=6), timedelta(minutes=61), timedelta(hours=25)]))
def test_what_time_alone_changes_changes_the_digest(case: Case, later: timedelta) -> None:
    then = Case(case.readings)
    then.held, then.unread = case.held, case.unread
    then.valuer = Valuer(case.valuer.tokens, market_of(case.known, now=case.valuer.market.now + later))

    assert case.digest() != then.digest() or case.full() == then.full()


BASIS = Case([READ]).digest()
PRICED = evidence(quote("dexscreener", "1.5", change="2"), depth=depth(usd="50000"))


@pytest.mark.parametrize(
    "case",
    [
        Case([replace(READ, wallet=OTHER_WALLET)]),
        Case([replace(READ, balances={**READ.balances, token(1): 2_500_001})]),
        Case([replace(READ, balances={token(1): 2_500_000})]),
        Case([replace(READ, outcome=ChainOutcome.FAILED)], stored={(WALLET, 1): READ.balances}),
        Case([replace(READ, unknown=frozenset({token(3)}))]),
        Case(
            [replace(READ, balances={token(1): 2_500_000}, unknown=frozenset({token(2)}))],
            stored={(WALLET, 1): {token(2): 7}},
        ),
        Case([READ, ChainBalances(WALLET, 10, ChainOutcome.OK)]),
        Case([READ], {**KNOWN, key_of(1): evidence(quote("dexscreener", "1.6", change="2"), depth=depth(usd="50000"))}),
        Case([READ], {**KNOWN, key_of(1): evidence(quote("dexscreener", "1.5", change="3"), depth=depth(usd="50000"))}),
        Case([READ], {**KNOWN, key_of(1): evidence(quote("alchemy", "1.5", change="2"), depth=depth(usd="50000"))}),
        Case([READ], {**KNOWN, key_of(1): evidence(quote("dexscreener", "1.5", change="2"), depth=depth(usd="50001"))}),
        Case([READ], {**KNOWN, key_of(1): Known(LISTED, PRICED)}),
        Case([READ], infos={**INFOS, key_of(1): INFOS[key_of(1)]._replace(decimals=7)}),
        Case([READ], infos={**INFOS, key_of(1): INFOS[key_of(1)]._replace(symbol=None)}),
        Case([READ], infos={**INFOS, key_of(1): INFOS[key_of(1)]._replace(name="t.me/token")}),
        Case([READ], infos={**INFOS, key_of(1): INFOS[key_of(1)]._replace(logo_url=None)}),
        Case([READ], later=timedelta(minutes=6)),
        Case([READ], limits=replace(LIMITS, unconfirmed_usd=Decimal(1))),
    ],
    ids=lambda case: str(case.readings[0].outcome.value),
)
def test_the_digest_changes_with_each_input(case: Case) -> None:
    assert case.digest() != BASIS


def test_the_digest_does_not_depend_on_order_nor_on_when_prices_were_read() -> None:
    turned = replace(READ, balances=dict(reversed(READ.balances.items())))
    again = {
        key_of(1): evidence(quote("dexscreener", "1.5", change="2", read=timedelta(minutes=2)), depth=depth()),
        key_of(2): KNOWN[key_of(2)],
    }
    assert Case([turned], again).digest() == BASIS
