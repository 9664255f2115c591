"""How wallets and chains are packed into calls of Alchemy's data API."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.providers.alchemy_data import plan_groups

# By Alchemy's documents: addresses a call, networks a call, networks an address; with metadata, and without.
ALLOWED = {True: (2, 10, 5), False: (3, 20, 20)}
CHAIN_IDS = range(1, 30)


@st.composite
def wallets_and_chains(draw: st.DrawFn) -> list[tuple[str, int]]:
    chosen = draw(st.lists(st.lists(st.sampled_from(CHAIN_IDS), unique=True), max_size=12))
    pairs = [(f"0x{number:040x}", chain_id) for number, ids in enumerate(chosen) for chain_id in ids]
    return draw(st.permutations(pairs))


@pytest.mark.parametrize("with_metadata", [True, False])
@given(pairs=wallets_and_chains())
def test_any_plan_asks_for_each_pair_once_and_keeps_every_limit(
    pairs: list[tuple[str, int]], with_metadata: bool
) -> None:
    addresses, networks, networks_an_address = ALLOWED[with_metadata]

    groups = plan_groups(pairs, with_metadata=with_metadata)

    assert Counter((wallet, c) for group in groups for wallet, ids in group for c in ids) == Counter(pairs)
    for group in groups:
        assert 1 <= len(group) <= addresses
        assert len({wallet for wallet, _ in group}) == len(group)
        assert sum(len(ids) for _, ids in group) <= networks
        assert all(1 <= len(ids) <= networks_an_address for _, ids in group)


@pytest.mark.parametrize(
    ("with_metadata", "wallets", "chains", "calls"),
    [
        (True, 1, 5, 1),
        (True, 1, 6, 2),
        (True, 2, 9, 2),
        (True, 3, 9, 4),
        (True, 90, 9, 90),
        (True, 1, 11, 3),
        (False, 1, 9, 1),
        (False, 2, 9, 1),
        (False, 3, 9, 2),
        (False, 3, 6, 1),
        (False, 90, 9, 45),
    ],
)
def test_more_chains_than_an_address_may_have_are_spread_over_few_calls(
    with_metadata: bool, wallets: int, chains: int, calls: int
) -> None:
    pairs = [(f"0x{number:040x}", chain_id) for number in range(wallets) for chain_id in range(chains)]

    assert len(plan_groups(pairs, with_metadata=with_metadata)) == calls
