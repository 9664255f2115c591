"""What the pools of a token say of its price and of their depth."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.domain.evidence import DepthState
from moonx_pipeline.domain.market import other_side_key
from moonx_pipeline.domain.pools import OUTLIER_FACTOR, Pool, PoolFinding, TrustedSide, judge_pools
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline_tests.support.examples import DEEP, NOON, THIN, UNKNOWN

MINE, WETH, OTHER, STRANGE = (f"0x{letter * 40}" for letter in "abcd")
TOKEN = TokenKey(8453, MINE)
TRUSTED = {WETH: TrustedSide(Decimal(2000)), OTHER: TrustedSide(Decimal("0.5"))}
FLOOR = Decimal(10_000)


def pool(number: int = 1, *, price: str | None = "1.5", weth: str | None = "10", **changes) -> Pool:
    """A pool of the token and WETH, with so many WETH on the other side."""
    values = {
        "chain_id": 8453,
        "address": f"0x{number:040x}",
        "base_address": MINE,
        "quote_address": WETH,
        "price_usd": None if price is None else Decimal(price),
        "price_native": Decimal("0.00075"),
        "liquidity_usd": Decimal(10**12),  # what a scam says of itself
        "liquidity_base": Decimal(10**12),
        "liquidity_quote": None if weth is None else Decimal(weth),
        "change_24h": Decimal("-3.1"),
    }
    return Pool(**{**values, **changes})


def turned(number: int = 1, *, price: str | None = "2000", in_ours: str | None = "1000", weth: str = "9") -> Pool:
    """A pool whose base token is WETH: its price is WETH's, in USD and in our tokens."""
    native = None if in_ours is None else Decimal(in_ours)
    return pool(
        number, price=price, base_address=WETH, quote_address=MINE, price_native=native, liquidity_base=Decimal(weth)
    )  # fmt: skip


def judged(*pools: Pool) -> PoolFinding:
    return judge_pools(TOKEN, pools, floor_usd=FLOOR, trusted=TRUSTED, read_at=NOON)


def found(*pools: Pool) -> tuple[str | None, DepthState | None, Decimal | None]:
    """The price, and the depth and its state."""
    quote, depth = judged(*pools)
    return str(quote.price_usd) if quote else None, depth.state if depth else None, depth.usd if depth else None


def test_the_pool_with_the_deepest_trusted_side_gives_the_price() -> None:
    quote, depth = judged(pool(1, price="1.5", weth="10"), pool(2, price="1.6", weth="50"), pool(3, weth="1"))
    assert quote == (PriceSource.DEXSCREENER, Decimal("1.6"), None, NOON, Decimal("-3.1"), False)
    assert depth == (DEEP, 120_000, NOON)  # of the deep ones together


@pytest.mark.parametrize(
    ("told", "usd"), [("25000", 25_000), ("0", 10**18 * 2000), ("-1", 10**18 * 2000), (None, 10**18 * 2000)]
)
def test_one_side_is_not_worth_more_than_both(told: str | None, usd: int) -> None:
    in_smallest_units = pool(weth=str(10**18), liquidity_usd=None if told is None else Decimal(told))
    assert found(in_smallest_units) == ("1.5", DEEP, usd)


@pytest.mark.parametrize(("weth", "state"), [("5", DEEP), ("4.9999", THIN), ("0", THIN)])
def test_deep_is_what_holds_enough_of_trusted_tokens(weth: str, state: DepthState) -> None:
    assert found(pool(weth=weth)) == ("1.5", state, Decimal(weth) * 2000)


def test_its_own_side_is_worth_nothing() -> None:
    assert found(pool(weth="0.001", liquidity_base=Decimal(10**30), liquidity_usd=Decimal(10**30))) == ("1.5", THIN, 2)
    assert found(turned(weth="0.001")) == ("2", THIN, 2)


@pytest.mark.parametrize(
    ("market", "state", "usd"),
    [(None, DEEP, 5_000_000), ("20000", DEEP, 20_000), ("9999", THIN, 9_999), ("0", THIN, 0)],
)
def test_a_pool_full_of_a_token_is_worth_what_that_tokens_own_pools_could_pay(
    market: str | None, state: DepthState, usd: int
) -> None:
    side = TrustedSide(Decimal("0.5"), None if market is None else Decimal(market))
    full = pool(quote_address=OTHER, weth="10000000")
    finding = judge_pools(TOKEN, [full], floor_usd=FLOOR, trusted={OTHER: side}, read_at=NOON)
    assert finding.depth == (state, usd, NOON)


def test_thin_pools_together_are_still_thin() -> None:
    assert found(*(pool(number, weth="4") for number in range(9))) == ("1.5", THIN, 72_000)


@pytest.mark.parametrize(
    "unknown",
    [pool(weth=None), pool(weth="-3"), pool(quote_address=STRANGE), turned()._replace(liquidity_base=None)],
    ids=["not told", "below zero", "in a token without a trusted price", "not told, turned"],
)
def test_a_pool_of_which_nobody_knows_what_it_holds_is_unknown_and_not_thin(unknown: Pool) -> None:
    price, state, usd = found(unknown)
    assert (state, usd) == (UNKNOWN, None)
    assert price is not None
    other = pool(7, price="3", weth="1")
    assert found(unknown, other) == ("3", UNKNOWN, None)
    assert found(unknown, pool(7, price="3", weth="10")) == ("3", DEEP, 20_000)


@pytest.mark.parametrize("price", [None, "0"])
@pytest.mark.parametrize(("weth", "state"), [("600", DEEP), ("1", THIN), (None, UNKNOWN)])
def test_depth_needs_no_price(price: str | None, weth: str | None, state: DepthState) -> None:
    usd = None if weth is None else Decimal(weth) * 2000
    assert found(pool(price=price, weth=weth)) == (None, state, usd)


def test_a_deep_pool_without_a_price_leaves_it_to_a_deep_one_and_to_no_thin_one() -> None:
    silent = pool(1, price="0", weth="90")
    assert found(silent, pool(2, price="1.4", weth="8")) == ("1.4", DEEP, 196_000)
    assert found(silent, pool(2, price="999", weth="0.1")) == (None, DEEP, 180_000)


def test_no_pools_say_nothing() -> None:
    assert judged() == (None, None)


def test_pools_of_other_chains_and_tokens_are_passed_over() -> None:
    assert judged(pool(chain_id=1), pool(base_address=OTHER)) == (None, None)
    assert found(pool(chain_id=1, weth="99"), pool(2, weth="6")) == ("1.5", DEEP, 12_000)


def test_a_pool_that_is_told_twice_counts_once() -> None:
    assert found(pool(1, weth="6"), pool(1, weth="6")) == ("1.5", DEEP, 12_000)


def test_on_the_other_side_of_a_pool_the_price_is_derived() -> None:
    quote, depth = judged(turned(price="2000", in_ours="1000", weth="9"))
    assert quote is not None
    assert (quote.price_usd, quote.change_24h) == (2, None)  # the change is the other token's
    assert depth == (DEEP, 18_000, NOON)


@pytest.mark.parametrize("broken", [turned(in_ours=None), turned(in_ours="0"), turned(price=None), turned(price="0")])
def test_a_price_that_can_not_be_derived_is_none(broken: Pool) -> None:
    assert found(broken) == (None, DEEP, 18_000)


def test_any_token_with_a_trusted_price_is_a_trusted_side() -> None:
    assert found(pool(quote_address=OTHER, weth="30000")) == ("1.5", DEEP, 15_000)


def test_the_side_is_known_by_its_contract_and_the_trust_is_in_exact_lower_case() -> None:
    assert pool().other_side(MINE) == WETH
    assert pool().other_side(WETH) == MINE


@pytest.mark.parametrize("chain", KNOWN_CHAINS, ids=lambda chain: chain.slug)
def test_pools_may_name_the_native_coin_by_the_zero_address_or_its_mirror(chain) -> None:
    native = TokenKey(chain.id, NATIVE_TOKEN)
    assert other_side_key(chain.id, ZERO_ADDRESS) == native
    assert other_side_key(chain.id, WETH) == (chain.id, WETH)
    mirror = "0x0000000000000000000000000000000000001010"
    assert other_side_key(chain.id, mirror) == (native if chain.slug == "polygon" else (chain.id, mirror))


def test_a_pool_of_version_4_is_known_by_32_bytes_and_deep_like_any_other() -> None:
    native = pool(address="0x" + "4f" * 32, quote_address=ZERO_ADDRESS, weth="600")
    finding = judge_pools(
        TOKEN, [native], floor_usd=FLOOR, trusted={ZERO_ADDRESS: TrustedSide(Decimal(2000))}, read_at=NOON
    )
    assert finding.depth == (DEEP, 1_200_000, NOON)


# -- outliers


@pytest.mark.parametrize(
    ("prices", "chosen"),
    [
        (["1000", "1.4", "1.5"], "1.4"),
        (["0.0001", "1.4", "1.5"], "1.4"),
        (["4.5", "1.4", "1.5"], "4.5"),  # three times the middle is within the bound …
        (["4.51", "1.4", "1.5"], "1.4"),
        (["0.5", "1.4", "1.5"], "0.5"),
        (["0.46", "1.4", "1.5"], "1.4"),
        (["1000", "1.4"], "1000"),  # … and of two, nobody knows which is wrong
        (["1000", "1001", "1.4", "1.5", "1.6"], "1.4"),
    ],
)
def test_a_deep_pool_far_from_the_middle_of_the_others_is_not_believed(prices: list[str], chosen: str) -> None:
    deepest_first = [pool(number, price=price, weth=str(99 - number)) for number, price in enumerate(prices, 1)]
    assert found(*deepest_first)[:2] == (chosen, DEEP)
    assert OUTLIER_FACTOR == 3


def test_only_the_deepest_five_are_compared() -> None:
    deep = [pool(number, price="1000", weth=str(99 - number)) for number in range(1, 6)]
    many = [pool(number, price="1", weth="6") for number in range(6, 40)]
    assert found(*deep, *many)[0] == "1000"


def test_of_pools_of_one_depth_it_is_always_the_same_one() -> None:
    assert found(pool(2, price="1.1"), pool(1, price="1.2"))[0] == "1.2"


made_pools = st.lists(
    st.builds(
        pool,
        st.integers(1, 50),
        price=st.sampled_from([None, "0", "0.000001", "1.5", "1.6", "2", "99999.5"]),
        weth=st.sampled_from([None, "-1", "0", "4.99", "5", "6.5", "1000"]),
        chain_id=st.sampled_from([1, 8453, 8453]),
        quote_address=st.sampled_from([WETH, WETH, OTHER, STRANGE]),
    ),
    max_size=8,
    unique_by=lambda made: made.address,
)


@given(made_pools, st.data())
def test_the_order_of_pools_never_matters_and_no_price_is_made_up(made: list[Pool], data: st.DataObject) -> None:
    finding = judged(*made)
    assert finding == judged(*data.draw(st.permutations(made)))
    quote, depth = finding
    assert (depth is None) == (not any(one.chain_id == 8453 for one in made))
    if quote is not None:
        assert quote.price_usd in {one.price_usd for one in made}
        assert depth is not None
        assert not any(isinstance(value, float) for value in (*quote, *depth))


@given(made_pools)
def test_what_one_pool_can_not_tell_is_never_thin(made: list[Pool]) -> None:
    depth = judged(*made, pool(99, weth=None)).depth
    assert depth is not None
    assert depth.state is not THIN
    assert (depth.usd is None) == (depth.state is UNKNOWN)
    if depth.state is DEEP:
        assert depth.usd is not None
        assert depth.usd >= FLOOR
