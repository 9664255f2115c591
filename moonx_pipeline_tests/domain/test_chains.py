"""The entries of chains: each complete by itself, and no two in each other's way."""

import re
from collections import Counter

import pytest

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, KNOWN_CHAINS, Chain
from moonx_pipeline.domain.majors import MAJORS

ADDRESS = re.compile("0x[0-9a-f]{40}")
each_chain = pytest.mark.parametrize("chain", KNOWN_CHAINS, ids=lambda chain: chain.slug)


@pytest.mark.parametrize(
    "name", ["id", "slug", "name", "alchemy_network", "coingecko_platform", "dexscreener_slug", "defillama_name"]
)
def test_no_two_chains_have_the_same_name_anywhere(name: str) -> None:
    counted = Counter(getattr(chain, name) for chain in KNOWN_CHAINS)

    assert set(counted.values()) == {1}
    assert all(counted)


def test_the_five_of_the_contract_are_read_by_default_and_shown_first() -> None:
    assert [chain.id for chain in DEFAULT_CHAINS] == [1, 137, 10, 42161, 8453]
    assert KNOWN_CHAINS[:5] == DEFAULT_CHAINS


@each_chain
def test_contracts_of_an_entry_are_lower_case_addresses(chain: Chain) -> None:
    for contract in (chain.wrapped_native, *chain.native_mirrors):
        assert ADDRESS.fullmatch(contract)
    assert chain.wrapped_native not in chain.native_mirrors


@each_chain
def test_a_slug_can_stand_in_names_of_settings_and_ops(chain: Chain) -> None:
    assert re.fullmatch("[a-z]+", chain.slug)


@each_chain
def test_a_native_coin_is_a_major_of_its_own_symbol_with_a_pair(chain: Chain) -> None:
    coin = chain.native
    major = MAJORS[coin.coingecko_id]

    assert (major.coin, major.binance_base, major.is_dollar) == (coin.symbol, coin.symbol, False)
    assert 0 < coin.decimals <= 18


def test_chains_that_share_a_symbol_share_the_coin() -> None:
    coins = {chain.native for chain in KNOWN_CHAINS}

    assert len({coin.symbol for coin in coins}) == len({coin.coingecko_id for coin in coins}) == len(coins)
