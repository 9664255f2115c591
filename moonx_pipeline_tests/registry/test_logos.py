"""The logos that ship with the page: of contracts that the registry names, and pictures that do nothing but draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN
from moonx_pipeline.registry.logos import ICONS, INDEX, PICTURES, draws_only
from moonx_pipeline.registry.snapshot import shipped_lists

LOGOS: Final[dict[str, dict[str, str]]] = json.loads(INDEX.read_text())
LOGO_OF: Final = {(int(chain), contract): file for chain, found in LOGOS.items() for contract, file in found.items()}
FILES: Final = sorted(PICTURES.glob("*.svg"))


def test_each_logo_is_of_a_contract_that_a_shipped_list_names() -> None:
    listed = {token[:2] for taken in shipped_lists() for token in taken.tokens}
    native = {(chain.id, NATIVE_TOKEN) for chain in KNOWN_CHAINS}

    assert len(LOGO_OF) > 200
    assert set(LOGO_OF) - listed - native == set()


@pytest.mark.parametrize(
    ("chain_id", "contract", "coin"),
    [
        (1, NATIVE_TOKEN, "ethereum"),
        (137, NATIVE_TOKEN, "polygon-ecosystem-token"),
        (1, "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "usd-coin"),
        (8453, "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913", "usd-coin"),
        (137, "0x2791bca1f2de4661ed88a30c99a7a9449aa84174", "usd-coin"),
        (1, "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "ethereum"),
        (1, "0x514910771af9ca656af840dff83e8264ecf986ca", "chainlink"),
    ],
)
def test_a_well_known_contract_has_the_logo_of_its_coin(chain_id: int, contract: str, coin: str) -> None:
    assert LOGO_OF[chain_id, contract].startswith(f"{coin}.")


def test_the_index_and_the_folder_hold_the_same_files_and_they_are_small() -> None:
    assert set(LOGO_OF.values()) == {file.name for file in FILES}
    assert sum(file.stat().st_size for file in FILES) < 500_000
    assert max(file.stat().st_size for file in FILES) <= 8_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_logo_draws_and_does_nothing_else(file: Path) -> None:
    assert draws_only(file.read_text())


@pytest.mark.parametrize(
    ("inside", "is_logo"),
    [
        ('<path fill="url(#a)" d="M0 0h9"/>', True),
        ("<script/>", False),
        ('<image href="x"/>', False),
        ("<style/>", False),
        ('<path onload="x"/>', False),
        ('<path href="x"/>', False),
        ('<path fill="url(https://elsewhere.example/a)"/>', False),
        ('<path xmlns="urn:other"/>', False),
        ("<!-- said -->", False),
    ],
)
def test_only_what_draws_can_be_a_logo(inside: str, *, is_logo: bool) -> None:
    assert draws_only(f'<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>') is is_logo


def test_the_notice_names_the_package_its_licence_and_its_author() -> None:
    notice = (PICTURES / "NOTICE").read_text()

    assert f"{ICONS.package} {ICONS.version}" in notice
    assert "Permission is hereby granted" in notice
    assert "Copyright" in notice
