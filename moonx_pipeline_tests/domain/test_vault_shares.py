"""What a share is redeemable for is its vault's word: believed within bounds, and never worth more than it rests on."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.evidence import NO_EVIDENCE, Evidence
from moonx_pipeline.domain.flags import EXCEEDS_LIQUIDITY, UNCONFIRMED_PRICE
from moonx_pipeline.domain.holdings import Holding
from moonx_pipeline.domain.market import Known, Market
from moonx_pipeline.domain.portfolio import MAX_BALANCE, Position, TokenInfo, TokenKey
from moonx_pipeline.domain.valuation import Valuer
from moonx_pipeline.domain.vault_shares import (
    RATE_LIFE,
    SETTLED_AFTER,
    UNITS_ASKED,
    Redemption,
    ShareAnswer,
    ShareKind,
    VaultShare,
    redemption_of,
    taken_in,
)
from moonx_pipeline_tests.support.choices import A_DAY, A_SECOND, AN_HOUR, use_of
from moonx_pipeline_tests.support.examples import (
    LISTED,
    NOON,
    NOW,
    THIN,
    UNKNOWN,
    WALLET,
    depth,
    evidence,
    key_of,
    market_of,
    quote,
    token,
)

SHARE, TOKEN, OTHER, FOURTH = (key_of(number) for number in (1, 2, 3, 4))
DOLLAR = Known(LISTED, evidence(quote("coingecko", "2")))
UNNAMED, NAMED = Known(), Known(LISTED)


def answer(rate: str = "1.1", *, underlying: TokenKey = TOKEN, held: int | None = 500) -> ShareAnswer:
    return ShareAnswer(ShareKind.ERC4626, underlying.address, int(Decimal(rate) * UNITS_ASKED), held)


def share(*said: tuple[str, timedelta]) -> VaultShare:
    """A share after answers, each some time after noon."""
    known = None
    for rate, later in said:
        known = taken_in(known, answer(rate), NOON + later)
    assert known is not None
    return known


def tokens(of_share: int | None = 18, of_token: int | None = 6) -> dict[TokenKey, TokenInfo]:
    return {SHARE: TokenInfo("S", "Share", of_share), TOKEN: TokenInfo("T", "Token", of_token)}


# -- the vault's word


@pytest.mark.parametrize(
    ("said", "is_off"),
    [
        ([("1.1", NOW)], False),
        ([("1.1", NOW), ("1.155", AN_HOUR)], False),
        ([("1.1", NOW), ("1.156", AN_HOUR)], True),
        ([("1.1", NOW), ("1.0477", AN_HOUR)], False),
        ([("1.1", NOW), ("1.0476", AN_HOUR)], True),
        ([("1.1", NOW), ("0", AN_HOUR)], True),
        # It stays off until it has stood for a day, wherever it stands; going back is another move.
        ([("1", NOW), ("2", AN_HOUR), ("2", A_DAY)], True),
        ([("1", NOW), ("2", AN_HOUR), ("2", AN_HOUR + SETTLED_AFTER)], False),
        ([("1", NOW), ("2", AN_HOUR), ("1", A_DAY), ("1", AN_HOUR + SETTLED_AFTER)], True),
        # Many small steps are one large one, until the level is renewed.
        ([("1", NOW), ("1.04", AN_HOUR), ("1.08", 2 * AN_HOUR)], True),
        ([("1", NOW), ("1.04", A_DAY), ("1.08", A_DAY + AN_HOUR)], False),
        # After a month there is nothing to hold it against.
        ([("1", NOW), ("2", 30 * A_DAY)], True),
        ([("1", NOW), ("2", 30 * A_DAY + A_SECOND)], False),
    ],
)
def test_an_answer_that_moved_beyond_the_bound_turns_a_share_off(
    said: list[tuple[str, timedelta]], is_off: bool
) -> None:
    known = share(*said)
    assert known.is_off is is_off
    assert known.assets == int(Decimal(said[-1][0]) * UNITS_ASKED)
    assert (redemption_of(SHARE, known, tokens(6, 6), known.read_at) is None) is is_off


def test_another_underlying_token_is_another_contract_and_turns_the_share_off() -> None:
    known = taken_in(share(("1", NOW)), answer("1", underlying=OTHER, held=None), NOON + AN_HOUR)
    assert known.is_off
    assert (known.underlying, known.held) == (OTHER.address, None)


def test_what_the_vault_holds_stays_known_where_an_answer_does_not_say_it() -> None:
    known = taken_in(share(("1", NOW)), answer("1", held=None), NOON + AN_HOUR)
    assert (known.held, known.read_at) == (500, NOON + AN_HOUR)


@pytest.mark.parametrize(("decimals", "rate"), [((6, 6), "1.1"), ((20, 18), "110"), ((18, 20), "0.011")])
def test_a_rate_is_exact_in_whole_tokens_by_the_decimals_of_both(decimals: tuple[int, int], rate: str) -> None:
    found = redemption_of(SHARE, share(("1.1", NOW)), tokens(*decimals), NOON)
    assert found == Redemption(TOKEN, Decimal(rate), Decimal(500).scaleb(-decimals[1]))


def test_a_whole_share_of_a_vault_is_worth_what_the_chain_says_to_the_last_digit() -> None:
    said = ShareAnswer(ShareKind.ERC4626, TOKEN.address, 1_052_345_678_901, 7)  # USDC of six digits, shares of 18
    found = redemption_of(SHARE, taken_in(None, said, NOON), tokens(18, 6), NOON)
    assert found == Redemption(TOKEN, Decimal("1.052345678901"), Decimal("0.000007"))


@pytest.mark.parametrize(
    ("rate", "is_one"), [("1000000", True), ("1000001", False), ("0.000001", True), ("0.0000009", False), ("0", False)]
)
def test_a_rate_that_no_vault_has_is_none(rate: str, is_one: bool) -> None:
    assert (redemption_of(SHARE, share((rate, NOW)), tokens(6, 6), NOON) is not None) is is_one


def test_the_largest_number_of_all_is_no_rate() -> None:
    said = ShareAnswer(ShareKind.ERC4626, TOKEN.address, MAX_BALANCE, MAX_BALANCE)
    assert redemption_of(SHARE, taken_in(None, said, NOON), tokens(6, 6), NOON) is None


def test_a_rate_without_decimals_or_read_too_long_ago_is_none() -> None:
    known = share(("1.1", NOW))
    assert redemption_of(SHARE, known, tokens(None, 6), NOON) is None
    assert redemption_of(SHARE, known, tokens(6, None), NOON) is None
    assert redemption_of(SHARE, known, tokens(6, 6), NOON + RATE_LIFE) is not None
    assert redemption_of(SHARE, known, tokens(6, 6), NOON + RATE_LIFE + A_SECOND) is None


def test_of_a_native_coin_the_decimals_are_known() -> None:
    said = ShareAnswer(ShareKind.ROCKET_POOL, NATIVE_TOKEN, UNITS_ASKED, None)
    found = redemption_of(SHARE, taken_in(None, said, NOON), tokens(18), NOON)
    assert found == Redemption(TokenKey(1, NATIVE_TOKEN), Decimal(1), None)


# -- the price that follows


def priced(
    known: dict[TokenKey, Known], redemptions: dict[TokenKey, Redemption] | None = None, *, held: str | None = "100000"
) -> Market:
    market = market_of(known)
    own = Redemption(TOKEN, Decimal("1.5"), None if held is None else Decimal(held))
    market.redeem({SHARE: own} | (redemptions or {}))
    return market


def chosen(market: Market, key: TokenKey = SHARE) -> tuple[str, Decimal, str] | None:
    choice = market.choice(key)
    return (choice.quote.source.value, choice.quote.price_usd, choice.rule) if choice.quote else None


def test_a_listed_share_is_worth_what_it_is_redeemable_for() -> None:
    market = priced({SHARE: NAMED, TOKEN: DOLLAR}, held=None)
    assert chosen(market) == ("redemption", Decimal(3), "redeemable")
    assert market.choice(SHARE).flags == ()
    assert not market.choice(SHARE).is_open
    assert market.own_evidence(SHARE).quotes == {}, "a conclusion is not stored"


def test_a_share_follows_the_price_that_its_token_gets_meanwhile() -> None:
    market = priced({SHARE: NAMED, TOKEN: NAMED})
    assert chosen(market) is None
    market.learn(TOKEN, evidence(quote("coingecko", "4")))
    assert chosen(market) == ("redemption", Decimal(6), "redeemable")


@pytest.mark.parametrize(
    "underlying",
    [
        NAMED,
        Known(None, evidence(quote("coingecko", "2"))._replace(quotes={})),
        Known(None, evidence(quote("dexscreener", "2"), depth=depth())),
        Known(LISTED, evidence(quote("coingecko", "2", said=2 * A_DAY))),
        Known(LISTED, evidence(quote("coingecko", "2"), quote("defillama", "200"), depth=depth())),
        Known(LISTED, evidence(quote("coingecko", "200"), accepted=("2", AN_HOUR))),
        Known(LISTED, evidence(quote("alchemy", "2"), depth=depth(THIN))),
    ],
    ids=["unpriced", "unknown", "unlisted", "outdated", "far apart", "jump", "thin"],
)
def test_a_share_of_what_has_no_price_beyond_doubt_has_none(underlying: Known) -> None:
    assert chosen(priced({SHARE: NAMED, TOKEN: underlying})) is None


def test_a_listing_of_the_share_goes_before_its_vault() -> None:
    market = priced({SHARE: Known(LISTED, evidence(quote("coingecko", "0.01"))), TOKEN: DOLLAR})
    assert chosen(market) == ("coingecko", Decimal("0.01"), "listing")
    assert use_of(market.choice(SHARE)) == {"coingecko": "chosen", "redemption": "unneeded"}
    assert market.choice(SHARE).flags == ()


def test_of_a_listed_share_a_deep_pool_goes_before_the_vault_and_no_other_does() -> None:
    deep = Known(LISTED, evidence(quote("dexscreener", "2.9"), depth=depth()))
    assert chosen(priced({SHARE: deep, TOKEN: DOLLAR})) == ("dexscreener", Decimal("2.9"), "deep_pools")
    for source in ("alchemy", "defillama"):
        other = Known(LISTED, evidence(quote(source, "2.9"), depth=depth(UNKNOWN)))
        assert chosen(priced({SHARE: other, TOKEN: DOLLAR})) == ("redemption", Decimal(3), "redeemable")


def test_a_vault_that_no_list_names_is_heard_only_where_nobody_else_has_a_price() -> None:
    market = priced({SHARE: Known(None, evidence(quote("alchemy", "0.01"))), TOKEN: DOLLAR})
    assert chosen(market) == ("alchemy", Decimal("0.01"), "single_source")
    assert use_of(market.choice(SHARE))["redemption"] == "unneeded"
    market = priced({SHARE: UNNAMED, TOKEN: DOLLAR})
    assert chosen(market) == ("redemption", Decimal(3), "single_source")
    assert market.choice(SHARE).flags == (UNCONFIRMED_PRICE,)


def test_old_words_of_a_vault_contradict_nobody() -> None:
    old = Known(LISTED, evidence(quote("coingecko", "2", read=AN_HOUR + A_SECOND)))
    listed = Known(LISTED, evidence(quote("alchemy", "0.01", read=A_SECOND)))
    market = priced({SHARE: listed, TOKEN: old})
    market.waiting = frozenset({TOKEN})
    assert use_of(market.choice(SHARE)) == {"alchemy": "chosen", "redemption": "too_old"}
    assert market.choice(SHARE).flags == ()


def test_thin_pools_say_nothing_against_what_a_listed_share_is_redeemable_for() -> None:
    thin = Known(LISTED, evidence(quote("dexscreener", "2.9"), depth=depth(THIN)))
    market = priced({SHARE: thin, TOKEN: DOLLAR})
    assert chosen(market) == ("redemption", Decimal(3), "redeemable")
    assert market.choice(SHARE).flags == ()


def test_vaults_that_name_each_other_or_nest_too_deep_have_no_price() -> None:
    def to(key: TokenKey) -> Redemption:
        return Redemption(key, Decimal(2), Decimal(1))

    known = {SHARE: NAMED, TOKEN: DOLLAR, OTHER: NAMED, FOURTH: NAMED}
    assert chosen(priced(known, {SHARE: to(SHARE)})) is None
    assert chosen(priced(known, {SHARE: to(OTHER), OTHER: to(SHARE)})) is None
    nested = priced(known, {SHARE: to(OTHER), OTHER: to(TOKEN)})
    assert chosen(nested) == ("redemption", Decimal(8), "redeemable")
    assert chosen(priced(known, {SHARE: to(OTHER), OTHER: to(FOURTH), FOURTH: to(TOKEN)})) is None


def test_a_share_of_a_share_that_no_list_names_has_no_price() -> None:
    redemptions = {
        SHARE: Redemption(OTHER, Decimal(2), Decimal(1)),
        OTHER: Redemption(TOKEN, Decimal(2), Decimal(1)),
    }
    assert chosen(priced({SHARE: NAMED, OTHER: UNNAMED, TOKEN: DOLLAR}, redemptions)) is None


# -- what counts


def counted(of_share: Known | Evidence, *, whole: int, held: str | None) -> Position:
    market = priced(
        {SHARE: of_share if isinstance(of_share, Known) else Known(None, of_share), TOKEN: DOLLAR}, held=held
    )
    valuer = Valuer({SHARE: TokenInfo("S", "Share", 0)}, market)
    (position,) = valuer.positions([Holding(WALLET, 1, token(1), whole)])
    return position


@pytest.mark.parametrize(
    ("whole", "held", "reason"),
    [
        (10, "15", None),
        (11, "15", EXCEEDS_LIQUIDITY),
        (10, "0", EXCEEDS_LIQUIDITY),
        (3333, "100000", None),
        (3334, "100000", UNCONFIRMED_PRICE),
    ],
)
def test_an_unlisted_vault_counts_up_to_what_it_holds_and_as_doubtful_prices_do(
    whole: int, held: str, reason: str | None
) -> None:
    position = counted(UNNAMED, whole=whole, held=held)
    assert position.value_usd == whole * 3
    assert position.not_counted_reason == reason


def test_an_unlisted_vault_of_which_it_is_not_known_what_it_holds_has_no_price() -> None:
    assert counted(UNNAMED, whole=1, held=None).not_counted_reason == "unpriced"
    assert counted(NO_EVIDENCE, whole=1, held=None).price_usd is None


def test_a_listed_vault_counts_although_it_has_lent_on_all_that_it_redeems() -> None:
    for held in ("0", None):
        assert counted(NAMED, whole=10**6, held=held).not_counted_reason is None
