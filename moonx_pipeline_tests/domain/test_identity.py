"""Which asset a contract is."""

from __future__ import annotations

import re

import pytest

from moonx_pipeline.domain.chains import (
    CHAIN_BY_ID,
    CHAIN_BY_SLUG,
    KNOWN_CHAINS,
    NATIVE_TOKEN,
    ZERO_ADDRESS,
    is_native_mirror,
)
from moonx_pipeline.domain.identity import UNLISTED, Identity, Listing, identify
from moonx_pipeline.domain.majors import MAJORS, WELL_KNOWN_SYMBOLS
from moonx_pipeline.domain.market import ALWAYS_KNOWN, USDT_KEY
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, TokenInfo, TokenKey
from moonx_pipeline.registry.snapshot import shipped_lists
from moonx_pipeline_tests.support.examples import LISTED, key_of

SHIPPED = {
    (token.chain_id, token.token_address): token for named in reversed(shipped_lists()) for token in named.tokens
}
BY_HAND = {
    TokenKey(token.chain_id, token.token_address): token
    for named in shipped_lists()
    for token in named.tokens
    if named.name == "moonx"
}


def listed_as(coingecko_id: str | None) -> Identity:
    return identify(key_of(), LISTED._replace(coingecko_id=coingecko_id))


@pytest.mark.parametrize("chain", KNOWN_CHAINS, ids=lambda chain: chain.slug)
def test_a_native_coin_and_its_wrapped_form_are_one_coin_without_any_list(chain) -> None:
    native = identify(TokenKey(chain.id, NATIVE_TOKEN), None)
    wrapped = identify(TokenKey(chain.id, chain.wrapped_native), None)
    assert (native.is_native, wrapped.is_native) == (True, False)
    for identity in (native, wrapped):
        assert identity.is_major
        assert identity.is_listed
        assert identity.coin == chain.native.symbol
        assert identity.binance_symbol == f"{chain.native.symbol}USDT"
        assert not identity.is_dollar
    assert native.coingecko_id == chain.native.coingecko_id


def test_a_wrapped_coin_of_another_chain_is_one_only_where_its_listing_says_so() -> None:
    address = CHAIN_BY_SLUG["ethereum"].wrapped_native
    assert identify(TokenKey(137, address), None) == UNLISTED
    bridged = identify(TokenKey(137, address), LISTED._replace(coingecko_id="weth"))
    assert (bridged.coin, bridged.is_major, bridged.binance_symbol) == ("ETH", True, "ETHUSDT")


def test_a_contract_that_no_list_names_is_nothing_whatever_its_symbol() -> None:
    assert identify(key_of(), None) == UNLISTED
    assert not UNLISTED.is_listed


@pytest.mark.parametrize("coingecko_id", [None, "some-coin"])
def test_a_listed_token_is_listed_and_no_major(coingecko_id: str | None) -> None:
    identity = listed_as(coingecko_id)
    assert identity.is_listed
    assert not identity.is_major
    assert (identity.coingecko_id, identity.binance_symbol, identity.coin) == (coingecko_id, None, None)


def test_one_of_the_majors_is_known_by_its_id() -> None:
    assert listed_as("chainlink").binance_symbol == "LINKUSDT"
    for dollar in ("usd-coin", "tether", "dai", "bridged-usdc-polygon-pos-bridge"):
        assert listed_as(dollar).is_dollar, dollar
    for other in ("chainlink", "weth", "some-coin"):
        assert not listed_as(other).is_dollar, other
    assert listed_as("staked-ether").coin is None


def test_no_dollar_is_asked_for_by_a_pair_with_itself() -> None:
    assert MAJORS["tether"].binance_base is None
    assert USDT_KEY in ALWAYS_KNOWN
    assert BY_HAND[USDT_KEY].coingecko_id == "tether"


LIE = TokenInfo("FREE", "claim at drop.com", 3, "https://logos.test/1.png")


def test_names_of_a_listed_token_are_its_lists_and_decimals_are_the_contracts_own() -> None:
    assert listed_as(None).described(LIE, 1) == ("TKN", "Token", 3, "https://logos.test/1.png")
    assert listed_as(None).described(UNKNOWN_TOKEN, 1) == ("TKN", "Token", None, LISTED.logo_url)
    nameless = identify(key_of(), Listing(None, None, None, "some-coin", ("coingecko",)))
    assert nameless.described(LIE, 1) == LIE


def test_an_unlisted_token_is_called_what_it_says() -> None:
    assert UNLISTED.described(LIE, 1) == LIE


def test_a_native_coin_is_called_what_its_chain_calls_it() -> None:
    for chain in KNOWN_CHAINS:
        identity = identify(TokenKey(chain.id, NATIVE_TOKEN), None)
        assert identity.described(LIE, chain.id) == (
            chain.native.symbol, chain.native.name, chain.native.decimals, "https://logos.test/1.png",
        )  # fmt: skip


def test_every_major_has_a_contract_in_the_shipped_lists() -> None:
    named = {token.coingecko_id for token in BY_HAND.values()}
    assert set(MAJORS) - named - {chain.native.coingecko_id for chain in KNOWN_CHAINS} <= {"weth", "wmatic"} | named
    assert named <= set(MAJORS)


@pytest.mark.parametrize("chain", KNOWN_CHAINS, ids=lambda chain: chain.slug)
def test_a_wrapped_coin_has_the_same_contract_here_as_in_published_lists(chain) -> None:
    wrapped = SHIPPED[chain.id, chain.wrapped_native]
    assert wrapped.symbol in (f"W{chain.native.symbol}", "WMATIC")
    assert SHIPPED[USDT_KEY.chain_id, USDT_KEY.address].symbol == "USDT"


def test_every_well_known_symbol_is_guarded_against_forgery() -> None:
    symbols = {(token.symbol or "").upper() for token in BY_HAND.values()}
    assert symbols <= WELL_KNOWN_SYMBOLS
    assert {chain.native.symbol for chain in KNOWN_CHAINS} <= WELL_KNOWN_SYMBOLS


@pytest.mark.parametrize(
    ("chain_id", "address", "is_mirror"),
    [
        (137, "0x0000000000000000000000000000000000001010", True),
        (1, "0x0000000000000000000000000000000000001010", False),
        *((chain.id, ZERO_ADDRESS, True) for chain in KNOWN_CHAINS),
        *((chain.id, "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000", True) for chain in KNOWN_CHAINS),
        *((chain.id, NATIVE_TOKEN, False) for chain in KNOWN_CHAINS),
        *((chain.id, chain.wrapped_native, False) for chain in KNOWN_CHAINS),
    ],
)
def test_second_faces_of_native_coins_are_known(chain_id: int, address: str, is_mirror: bool) -> None:
    assert is_native_mirror(chain_id, address) == is_mirror


def test_no_list_that_is_shipped_names_a_second_face_of_a_native_coin() -> None:
    assert not [key for key in SHIPPED if is_native_mirror(*key) or key[1] == NATIVE_TOKEN]
    assert all(re.fullmatch("0x[0-9a-f]{40}", address) for _, address in SHIPPED)
    assert {chain_id for chain_id, _ in SHIPPED} <= CHAIN_BY_ID.keys()
