"""The lists in the package: right by themselves, and made as their program makes them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN, is_native_mirror
from moonx_pipeline.domain.token_list import SHIPPED_LISTS, TokenList, fingerprint
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.providers.token_lists import listed_token
from moonx_pipeline.registry.build import SOURCES, Source, as_lines, notice_of, take, take_licence
from moonx_pipeline.registry.snapshot import FOLDER, SNAPSHOT, PublishedList, shipped_lists

LISTS = {taken.name: taken for taken in shipped_lists()}


def contracts(taken: TokenList) -> list[tuple[int, str]]:
    return [(token.chain_id, token.token_address) for token in taken.tokens]


def published() -> list[PublishedList]:
    return msgspec.json.decode(SNAPSHOT.read_bytes(), type=list[PublishedList])


def test_the_lists_of_the_package_come_in_the_order_of_trust() -> None:
    assert tuple(LISTS) == SHIPPED_LISTS


@pytest.mark.parametrize("name", SHIPPED_LISTS)
def test_every_entry_is_one_that_would_be_taken_from_a_list_by_url(name: str) -> None:
    taken = LISTS[name]

    for token in taken.tokens:
        assert re.fullmatch("0x[0-9a-f]{40}", token.token_address), token
        assert token.token_address != NATIVE_TOKEN
        assert not is_native_mirror(token.chain_id, token.token_address)
        assert (
            listed_token(
                token.chain_id,
                token.token_address,
                symbol=token.symbol,
                name=token.name,
                logo_url=token.logo_url,
                coingecko_id=token.coingecko_id,
            )
            == token
        )
        assert token.symbol
        assert token.name
    assert [key for key, times in Counter(contracts(taken)).items() if times > 1] == []
    assert {token.chain_id for token in taken.tokens} <= {chain.id for chain in KNOWN_CHAINS}


def test_the_list_by_hand_has_every_wrapped_coin_and_an_id_for_each_contract() -> None:
    by_hand = {(token.chain_id, token.token_address): token for token in LISTS["moonx"].tokens}

    for chain in KNOWN_CHAINS:
        assert by_hand[chain.id, chain.wrapped_native].symbol == f"W{chain.native.symbol}"
    assert all(token.coingecko_id for token in by_hand.values())


def test_one_id_is_one_asset_and_the_dollars_of_bridges_have_ids_of_their_own() -> None:
    symbols: dict[str | None, set[str | None]] = {}
    for token in LISTS["moonx"].tokens:
        symbols.setdefault(token.coingecko_id, set()).add(token.symbol)
    bridged = [token.coingecko_id for token in LISTS["moonx"].tokens if token.symbol in ("USDC.e", "USDbC")]

    assert all(len(names) == 1 for names in symbols.values())
    assert len(set(bridged)) == len(bridged) == 4


def test_a_symbol_of_the_list_by_hand_is_one_asset_of_a_chain() -> None:
    counted = Counter((token.chain_id, token.symbol) for token in LISTS["moonx"].tokens)

    assert [key for key, times in counted.items() if times > 1] == []


@pytest.mark.parametrize(
    ("chain_id", "address", "symbol"),
    [
        (8453, "0xc1cba3fcea344f92d9239c08c0568f6f2f0ee452", "wstETH"),
        (42161, "0x5979d7b546e38e414f7e9822514be443a4800529", "wstETH"),
        (8453, "0xfde4c96c8593536e31f229ea8f37b2ada2699bb2", "USDT"),
        (8453, "0x63706e401c06ac8513145b7687a14804d17f814b", "AAVE"),
        (1, "0x0bc529c00c6401aef6d220be8c6ea1667f6ad93e", "YFI"),
    ],
)
def test_well_known_tokens_are_named_at_their_other_contracts(chain_id: int, address: str, symbol: str) -> None:
    named = [token for taken in LISTS.values() for token in taken.tokens if token[:2] == (chain_id, address)]

    assert {token.symbol for token in named} == {symbol}


def test_the_snapshot_is_of_the_versions_named_and_their_licences_allow_it() -> None:
    assert [(taken.name, taken.package, taken.version, taken.licence) for taken in published()] == [
        (source.name, source.package, source.version, "MIT") for source in SOURCES
    ]
    notice = (FOLDER / "NOTICE").read_text()
    for source in SOURCES:
        assert f"{source.package} {source.version}" in notice
    assert notice.count("Permission is hereby granted") == notice.count("Copyright") == len(SOURCES)


def test_the_snapshot_stands_as_its_program_writes_it_a_line_a_token() -> None:
    assert as_lines(published()) == SNAPSHOT.read_bytes()
    assert len(SNAPSHOT.read_bytes()) < 1_000_000


def test_a_version_changes_with_the_content_even_where_the_publishers_does_not() -> None:
    taken = LISTS["aave"]
    renamed = (taken.tokens[0]._replace(symbol="OTHER"), *taken.tokens[1:])

    assert taken.version.endswith(f"+{fingerprint(taken.tokens)}")
    assert fingerprint(renamed) != fingerprint(taken.tokens)


def package(folder: Path, licence: str | None, *rows: dict[str, object]) -> Path:
    (folder / "package.json").write_text(json.dumps({"license": licence, "author": "Ann"}))
    (folder / "list.json").write_text(json.dumps({"tokens": rows}))
    return folder


SOURCE = Source("a", "@a/list", "1.2.3")


def test_a_package_is_taken_with_what_names_tokens_of_our_chains(tmp_path: Path) -> None:
    row = {"chainId": 1, "address": "0x" + "A" * 40, "symbol": "A", "name": "An A", "decimals": 7}
    folder = package(tmp_path, "MIT", row, {**row, "chainId": 31337}, {**row, "address": "0x" + "0" * 40})

    taken = take(SOURCE, (folder / "list.json").read_bytes(), take_licence(SOURCE, folder))

    assert taken.licence == "MIT"
    assert taken.tokens == [(1, "0x" + "a" * 40, "A", "An A", None)]


@pytest.mark.parametrize("licence", ["GPL-3.0-or-later", None, ["MIT"]])
def test_a_package_under_another_licence_is_not_shipped(tmp_path: Path, licence: str | None) -> None:
    with pytest.raises(OperatorError, match="don't ship it"):
        take_licence(SOURCE, package(tmp_path, licence))


def test_a_notice_has_the_packages_own_licence_or_says_that_it_has_none(tmp_path: Path) -> None:
    package(tmp_path, "MIT")
    assert "Copyright Ann" in notice_of(SOURCE, tmp_path)
    assert "has no licence file" in notice_of(SOURCE, tmp_path)

    (tmp_path / "LICENSE").write_text("Copyright Bob\n\nDo as you like.")
    assert "Copyright Bob" in notice_of(SOURCE, tmp_path)
    assert "Ann" not in notice_of(SOURCE, tmp_path)
