"""Which pool a token's price is taken from."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.pools import Pool, pool_quote
from moonx_pipeline.domain.portfolio import TokenKey

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINE, WETH, OTHER = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20
TOKEN = TokenKey(8453, MINE)
TRUSTED = {WETH: Decimal(2000)}
FLOOR = Decimal(10_000)


def pool(number: int = 1, *, price: str | None = "1.5", weth: str | None = "10", **changes) -> Pool:
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


def quote(*pools: Pool):
    return pool_quote(TOKEN, pools, floor_usd=FLOOR, trusted_quotes=TRUSTED, read_at=NOW)


def test_the_pool_with_the_deepest_trusted_side_gives_the_price() -> None:
    found = quote(pool(1, price="1.5", weth="10"), pool(2, price="1.6", weth="50"))

    assert found is not None
    assert (found.price_usd, found.liquidity_usd, found.change_24h) == (Decimal("1.6"), 100_000, Decimal("-3.1"))


def test_a_pool_counts_by_its_trusted_side_alone() -> None:
    assert quote(pool(weth="4.999")) is None
    assert quote(pool(weth=None)) is None
    assert quote(pool(quote_address=OTHER)) is None


def test_a_pool_of_another_chain_or_token_or_without_a_price_does_not_count() -> None:
    assert quote(pool(chain_id=1)) is None
    assert quote(pool(base_address=OTHER)) is None
    assert quote(pool(price=None)) is None
    assert quote() is None


def test_on_the_quote_side_the_price_is_derived_and_not_the_other_tokens() -> None:
    turned = pool(
        base_address=WETH, quote_address=MINE, price="2000", price_native=Decimal(1000), liquidity_base=Decimal(9)
    )

    found = quote(turned)

    assert found is not None
    assert (found.price_usd, found.liquidity_usd, found.change_24h) == (Decimal(2), 18_000, None)


def test_a_deep_pool_far_from_all_the_others_is_not_believed() -> None:
    found = quote(pool(1, price="1000", weth="99"), pool(2, price="1.4", weth="20"), pool(3, price="1.5", weth="10"))

    assert found is not None
    assert found.price_usd == Decimal("1.4")


pools = st.lists(
    st.builds(
        pool,
        st.integers(1, 50),
        price=st.one_of(st.none(), st.decimals("0.000001", "100000", places=6).map(str)),
        weth=st.one_of(st.none(), st.decimals("0", "1000", places=3).map(str)),
        chain_id=st.sampled_from([1, 8453]),
    ),
    max_size=8,
    unique_by=lambda made: made.address,
)


@given(pools, st.randoms())
def test_the_order_of_pools_never_matters_and_the_floor_always_holds(made: list[Pool], random) -> None:
    shuffled = list(made)
    random.shuffle(shuffled)

    found = quote(*made)

    assert found == quote(*shuffled)
    if found is not None:
        assert found.liquidity_usd is not None
        assert found.liquidity_usd >= FLOOR
        assert found.price_usd in {p.price_usd for p in made}
        assert not any(isinstance(value, float) for value in found)
