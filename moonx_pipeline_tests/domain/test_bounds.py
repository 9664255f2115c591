"""What a market could pay, and what unconfirmed prices may add, is bounded over all of a user's wallets."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.evidence import Evidence
from moonx_pipeline.domain.flags import EXCEEDS_LIQUIDITY, LOW_LIQUIDITY, SUSPECTED, UNCONFIRMED_PRICE
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.market import Known
from moonx_pipeline.domain.portfolio import Position, TokenInfo
from moonx_pipeline.domain.valuation import Valuer, totals_of
from moonx_pipeline_tests.support.choices import A_DAY, A_SECOND
from moonx_pipeline_tests.support.examples import (
    LIMITS,
    LISTED,
    NOW,
    OTHER_WALLET,
    THIN,
    WALLET,
    depth,
    evidence,
    key_of,
    market_of,
    quote,
    token,
)

TKN = TokenInfo("TKN", "Token", 0)
WALLETS = [WALLET, OTHER_WALLET, "0x" + "ef" * 20]


def held(number: int, usd: int, wallet: str = WALLET) -> Holding:
    """So many USD of a token that costs one."""
    return Holding(wallet, 1, token(number), usd)


def positions(
    holdings: list[Holding], known: dict[int, Known | Evidence], info: TokenInfo = TKN
) -> tuple[Position, ...]:
    return Valuer(
        {key_of(n): info for n in known}, market_of({key_of(n): what for n, what in known.items()})
    ).positions(holdings)


def reasons(made: tuple[Position, ...]) -> set[str | None]:
    return {p.not_counted_reason for p in made}


# -- exceeds_liquidity


def pooled(market_usd: str) -> Evidence:
    return evidence(quote("dexscreener", "1"), depth=depth(usd=market_usd))


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([70_000], None),
        ([70_001], EXCEEDS_LIQUIDITY),
        ([40_000, 30_000], None),
        ([40_000, 30_001], EXCEEDS_LIQUIDITY),
        ([30_000, 30_000, 10_001], EXCEEDS_LIQUIDITY),
        ([5_000_000_000, 1], EXCEEDS_LIQUIDITY),
    ],
)
def test_wallets_together_hold_no_more_than_their_market_could_pay(parts: list[int], reason: str | None) -> None:
    holdings = [held(1, usd, wallet) for usd, wallet in zip(parts, WALLETS, strict=False)]
    made = positions([*holdings, held(2, 500)], {1: pooled("70000"), 2: pooled("60000")})
    assert reasons(tuple(p for p in made if p.token == token(1))) == {reason}
    assert totals_of(made, []).value_usd == 500 + (sum(parts) if reason is None else 0)
    assert all(p.value_usd == p.balance for p in made)  # shown in full


@pytest.mark.parametrize(
    "known",
    [
        Known(LISTED, pooled("70000")),
        Known(LISTED._replace(coingecko_id="chainlink"), pooled("70000")),
        evidence(quote("coingecko", "1"), depth=depth(usd="70000")),
    ],
    ids=["a list names it", "a major", "listed at its source"],
)
def test_a_listed_token_has_other_markets_than_its_pools(known: Known | Evidence) -> None:
    assert reasons(positions([held(1, 9_000_000)], {1: known})) == {None}


@pytest.mark.parametrize("read", [A_SECOND, A_DAY + A_SECOND, 90 * A_DAY])
def test_what_deep_pools_were_last_known_to_hold_is_a_bound_however_long_ago(read) -> None:
    said = quote("alchemy", "1"), quote("defillama", "1")
    (position,) = positions([held(1, 9_000_000)], {1: evidence(*said, depth=depth(usd="70000", read=read))})
    assert EXCEEDS_LIQUIDITY in position.flags


def test_what_thin_pools_hold_is_no_bound_of_its_own() -> None:
    (position,) = positions([held(1, 9_000_000)], {1: evidence(quote("alchemy", "1"), depth=depth(THIN, "60"))})
    assert EXCEEDS_LIQUIDITY not in position.flags


def test_what_has_no_value_holds_nothing_of_a_market() -> None:
    nameless = TokenInfo("TKN", "Token", None)
    (position,) = positions([held(1, 9_000_000)], {1: pooled("70000")}, nameless)
    assert position.flags == ()


# -- unconfirmed_price

ONE_SOURCE = evidence(quote("alchemy", "1"), asked=NOW)


@pytest.mark.parametrize(
    ("worth", "counted"),
    [
        ([10_000], [10_000]),
        ([10_001], []),
        ([4_000, 4_000, 2_000], [2_000, 4_000, 4_000]),
        ([4_000, 4_000, 2_001], [2_001, 4_000]),
        ([9_700] * 40, [9_700]),
        ([1_000_000, 300, 5_000], [300, 5_000]),  # one of a million pushes nothing out
        ([9_999, 2], [2]),
    ],
)
def test_unconfirmed_positions_count_up_to_a_bound_together_the_smallest_first(
    worth: list[int], counted: list[int]
) -> None:
    holdings = [held(number, usd) for number, usd in enumerate(worth, 1)]
    made = positions(holdings, dict.fromkeys(range(1, len(worth) + 1), ONE_SOURCE))
    assert sorted(p.balance for p in made if p.not_counted_reason is None) == counted
    assert {p.flags for p in made if p.not_counted_reason is None} <= {()}
    assert {p.flags for p in made if p.not_counted_reason is not None} <= {(UNCONFIRMED_PRICE,)}
    assert totals_of(made, []).value_usd == sum(counted)


def test_the_bound_is_over_all_wallets_and_the_same_ones_count_however_they_came() -> None:
    holdings = [held(number, 4_000, wallet) for number in (1, 2) for wallet in WALLETS[:2]]
    known: dict[int, Known | Evidence] = {1: ONE_SOURCE, 2: ONE_SOURCE}
    made = positions(holdings, known)
    assert [(p.token, p.wallet) for p in made if p.not_counted_reason is None] == [
        (token(1), WALLET),
        (token(1), OTHER_WALLET),
    ]
    assert positions(holdings[::-1], known) == made


def test_what_is_kept_out_anyway_takes_nothing_of_the_bound() -> None:
    thin = evidence(quote("alchemy", "1"), depth=depth(THIN, "60"))
    jumped = evidence(quote("alchemy", "1"), asked=NOW, accepted=("0.01", NOW))
    made = positions([held(1, 10), held(2, 20), held(3, 10_000)], {1: thin, 2: jumped, 3: ONE_SOURCE})
    assert {p.balance for p in made if p.not_counted_reason is None} == {10_000}
    assert {p.balance: p.not_counted_reason for p in made if p.not_counted_reason} == {
        10: LOW_LIQUIDITY,
        20: "price_jump",
    }
    suspected = positions([held(1, 10)], {1: evidence(quote("alchemy", "1"))}, TokenInfo("USDC", "USD Coin", 0))
    assert suspected[0].flags == (SUSPECTED, UNCONFIRMED_PRICE)
    spam = positions([held(1, 10)], {1: ONE_SOURCE}, TokenInfo("USDC", "USD Coin", 0))
    assert (spam[0].is_spam, spam[0].flags) == (True, (UNCONFIRMED_PRICE,))


@given(st.lists(st.integers(0, 15_000), max_size=12), st.integers(0, 3))
def test_unconfirmed_positions_never_add_more_than_the_bound(worth: list[int], sure: int) -> None:
    holdings = [held(number, usd, WALLETS[number % 3]) for number, usd in enumerate(worth, 1)]
    known: dict[int, Known | Evidence] = dict.fromkeys(range(1, len(worth) + 1), ONE_SOURCE)
    known |= {number: Known(LISTED, evidence(quote("coingecko", "1"))) for number in range(100, 100 + sure)}
    made = positions([*holdings, *(held(number, 50_000) for number in range(100, 100 + sure))], known)
    total = totals_of(made, []).value_usd - 50_000 * sure
    assert Decimal(0) <= total <= LIMITS.unconfirmed_usd
    smallest = min((p.balance for p in made if p.not_counted_reason), default=None)
    assert smallest is None or total + smallest > LIMITS.unconfirmed_usd
