"""The token lists in the package: ``moonx.json``, kept by hand, and ``snapshot.json``, made by ``registry.build``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from moonx_pipeline.domain.chains import CHAIN_BY_SLUG
from moonx_pipeline.domain.token_list import SHIPPED_LISTS, ListedToken, TokenList, fingerprint

FOLDER: Final = Path(__file__).parent
SNAPSHOT: Final = FOLDER / "snapshot.json"
_BY_HAND: Final = FOLDER / "moonx.json"


class PublishedList(msgspec.Struct):
    """A published list in the snapshot.

    Attributes:
        name: In the registry.
        package, version: The npm package and its version that the list was taken from.
        licence: The license that the package declares; the text is in ``NOTICE``.
        tokens: Chain id, contract, symbol, name, logo.
    """

    name: str
    package: str
    version: str
    licence: str
    tokens: list[tuple[int, str, str | None, str | None, str | None]]


class _Asset(msgspec.Struct):
    symbol: str
    name: str
    coingecko_id: str
    contracts: dict[str, str]


def shipped_lists() -> tuple[TokenList, ...]:
    """The lists in the package, most trusted first; takes a few milliseconds."""
    published = msgspec.json.decode(SNAPSHOT.read_bytes(), type=list[PublishedList])
    lists = {taken.name: _as_list(taken) for taken in published}
    lists["moonx"] = _by_hand()
    return tuple(lists[name] for name in SHIPPED_LISTS)


def _as_list(taken: PublishedList) -> TokenList:
    tokens = tuple(ListedToken(*row) for row in taken.tokens)
    return TokenList(taken.name, f"{taken.version}+{fingerprint(tokens)}", tokens)


def _by_hand() -> TokenList:
    """The assets of ``moonx.json``, one token a contract."""
    assets = msgspec.json.decode(_BY_HAND.read_bytes(), type=list[_Asset])
    tokens = tuple(
        ListedToken(CHAIN_BY_SLUG[slug].id, address, asset.symbol, asset.name, coingecko_id=asset.coingecko_id)
        for asset in assets
        for slug, address in asset.contracts.items()
    )
    return TokenList("moonx", fingerprint(tokens), tokens)
