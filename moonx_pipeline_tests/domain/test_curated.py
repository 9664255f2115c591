from __future__ import annotations

import re
from collections import Counter

from moonx_pipeline.domain import curated
from moonx_pipeline.domain.chains import CHAIN_BY_ID, CHAIN_BY_SLUG, CHAINS, NATIVE_DECIMALS, NATIVE_TOKEN
from moonx_pipeline.domain.curated import (
    BINANCE_SYMBOLS,
    COINGECKO_IDS,
    CURATED,
    CURATED_SYMBOLS,
    USDT_KEY,
    curated_contracts,
)
from moonx_pipeline.domain.portfolio import TokenKey

LISTED = [
    TokenKey(CHAIN_BY_SLUG[slug].id, address)
    for _, contracts in curated._CONTRACTS
    for slug, address in contracts.items()
]


def test_every_address_is_forty_lower_case_hex_digits() -> None:
    for key in LISTED:
        assert re.fullmatch("0x[0-9a-f]{40}", key.address), key


def test_no_contract_is_listed_twice() -> None:
    assert [key for key, times in Counter(LISTED).items() if times > 1] == []
    assert len(CURATED) == len(LISTED) + len(CHAINS)


def test_no_native_coin_or_mirror_of_one_is_listed_as_a_contract() -> None:
    assert NATIVE_TOKEN not in {key.address for key in LISTED}
    for chain in CHAINS:
        assert chain.native_as_erc20 not in curated_contracts(chain.id)


def test_every_chain_has_its_native_coin_and_the_wrapped_one_at_the_same_price() -> None:
    for chain in CHAINS:
        native = CURATED[TokenKey(chain.id, NATIVE_TOKEN)]
        wrapped = CURATED[TokenKey(chain.id, chain.wrapped_native)]
        assert (native.symbol, native.name) == (chain.native_symbol, chain.native_name)
        assert native.decimals == wrapped.decimals == NATIVE_DECIMALS
        assert wrapped.symbol == f"W{native.symbol}"
        assert wrapped.binance_base == native.binance_base == native.symbol


def test_one_symbol_is_one_asset_of_a_chain() -> None:
    for chain in CHAINS:
        symbols = Counter(token.symbol for key, token in CURATED.items() if key.chain_id == chain.id)
        assert [symbol for symbol, times in symbols.items() if times > 1] == []


def test_the_contracts_of_a_chain_are_those_to_ask_a_node_for() -> None:
    for chain in CHAINS:
        assert sorted(curated_contracts(chain.id)) == sorted(k.address for k in LISTED if k.chain_id == chain.id)
        assert chain.wrapped_native in curated_contracts(chain.id)
    assert curated_contracts(0) == ()


def test_names_at_price_sources_belong_to_the_very_asset() -> None:
    for key, pair in BINANCE_SYMBOLS.items():
        token = CURATED[key]
        assert pair == f"{token.binance_base}USDT"
        assert token.binance_base in (token.symbol, token.symbol.removeprefix("W"))
    assert COINGECKO_IDS.keys() <= CURATED.keys()
    ids = {(COINGECKO_IDS[key], CURATED[key].symbol) for key in COINGECKO_IDS}
    assert len({coin for coin, _ in ids}) == len(ids)


def test_bridged_dollars_are_named_and_asked_for_by_contract() -> None:
    bridged = {key: token for key, token in CURATED.items() if token.symbol in ("USDC.e", "USDbC")}
    assert {CHAIN_BY_ID[key.chain_id].slug: token.symbol for key, token in bridged.items()} == {
        "polygon": "USDC.e",
        "optimism": "USDC.e",
        "arbitrum": "USDC.e",
        "base": "USDbC",
    }
    assert not bridged.keys() & (COINGECKO_IDS.keys() | BINANCE_SYMBOLS.keys())


def test_dollars_are_the_stablecoins_and_quotes_are_turned_by_a_tether_that_is_no_pair_of_itself() -> None:
    dollars = {token.symbol for token in CURATED.values() if token.is_dollar}
    assert dollars == {"USDC", "USDC.e", "USDbC", "USDT", "DAI"}
    assert CURATED[USDT_KEY].symbol == "USDT"
    assert USDT_KEY not in BINANCE_SYMBOLS
    assert USDT_KEY in COINGECKO_IDS


def test_every_curated_symbol_is_guarded_against_forgery() -> None:
    assert {token.symbol.upper() for token in CURATED.values()} <= CURATED_SYMBOLS
