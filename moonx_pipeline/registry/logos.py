"""Builds the page's logos from a published set of icons: ``python -m moonx_pipeline.registry.logos``.

A logo belongs to contracts, never to a symbol: the shipped token lists must name a contract, the icons' own metadata
must name the same one, and both must call it by the same symbol. It needs npm, which fetches the packages; it runs
none of their code. To update, change the versions below, run it, and look at the difference before committing it.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN
from moonx_pipeline.registry.build import Source, fetch, notice_of, take_licence
from moonx_pipeline.registry.snapshot import FOLDER, shipped_lists

ICONS: Final = Source("", "@web3icons/core", "4.0.56")
METADATA: Final = Source("", "@web3icons/common", "0.11.51")

WEB: Final = FOLDER.parent.parent / "web"
PICTURES: Final = WEB / "public" / "assets" / "logos"
INDEX: Final = WEB / "src" / "portfolio" / "table" / "logos.json"
"""By chain and contract: the file of its logo."""

_LARGEST: Final = 8_000  # bytes
_SVG: Final = "{http://www.w3.org/2000/svg}"
_ELEMENTS: Final = frozenset(
    f"{_SVG}{name}"
    for name in (
        *("svg", "g", "defs", "path", "circle", "ellipse", "rect", "polygon", "line", "clipPath", "mask"),
        *("linearGradient", "radialGradient", "stop"),
    )
)
"""What draws and does nothing else: no script, style, text, link or picture of another host."""

_SAME: Final = {
    "weth": "ethereum",
    "wmatic": "polygon-ecosystem-token",
    "wbnb": "binancecoin",
    "wrapped-avax": "avalanche-2",
    "bridged-usdc-polygon-pos-bridge": "usd-coin",
    "bridged-usd-coin-optimism": "usd-coin",
    "usd-coin-ethereum-bridged": "usd-coin",
    "bridged-usd-coin-base": "usd-coin",
    "binance-bridged-usdc-bnb-smart-chain": "usd-coin",
    "binance-bridged-usdt-bnb-smart-chain": "tether",
}
"""Wrapped coins and bridged dollars, by CoinGecko's id, with the coin that they show the logo of."""

_UNCLEAR: Final = frozenset({"rari-governance-token"})
"""Coins whose icon can't be made out: white on white."""


@click.command()
def build() -> None:
    """Write the logos, their index and their notice anew."""
    with tempfile.TemporaryDirectory() as icons, tempfile.TemporaryDirectory() as metadata:
        drawn, known = fetch(ICONS, Path(icons)), fetch(METADATA, Path(metadata))
        take_licence(ICONS, drawn)
        take_licence(METADATA, known)
        index = _write(drawn, _coins(known))
        (PICTURES / "NOTICE").write_text(f"{_NOTICE}\n{notice_of(ICONS, drawn)}")
    INDEX.write_text(json.dumps(index, separators=(",", ":"), sort_keys=True) + "\n")
    files = {file for contracts in index.values() for file in contracts.values()}
    click.echo(f"{len(files)} logos of {sum(map(len, index.values()))} contracts")


def _write(drawn: Path, coins: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Writes the pictures of all contracts that have one; returns the index."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    index: dict[str, dict[str, str]] = {}
    files: dict[str, str | None] = {}
    for chain_id, contract, coin in _contracts(coins):
        if coin not in files:
            files[coin] = _write_one(drawn, coin, coins[coin])
        if (file := files[coin]) is not None:
            index.setdefault(str(chain_id), {})[contract] = file
    return index


def _write_one(drawn: Path, coin: str, about: dict[str, Any]) -> str | None:
    """Writes one picture; returns its name, ``None`` if there is none that can be used."""
    variant = next((name for name in ("background", "branded") if name in about["variants"]), None)
    source = drawn / "dist" / "svgs" / "tokens" / str(variant) / f"{about['filePath'].partition(':')[2]}.svg.js"
    if not source.is_file() or (picture := _picture(source.read_text())) is None:
        return None
    # Its name changes with its content: browsers keep it for a year.
    name = f"{coin}.{hashlib.sha256(picture.encode()).hexdigest()[:8]}.svg"
    (PICTURES / name).write_text(picture)
    return name


def _picture(program: str) -> str | None:
    """The SVG that a module holds as a text; ``None`` of one that is large or more than a drawing."""
    text = re.search(r"""^var \w+ =\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*");?$""", program, re.MULTILINE)
    if text is None:
        return None
    svg = re.sub(r">\s+<", "><", str(ast.literal_eval(text[1])).strip()).replace(' class="web3icons"', "")
    return svg if len(svg) <= _LARGEST and draws_only(svg) else None


def draws_only(svg: str) -> bool:
    """Whether a picture draws, does nothing else, and needs no other file."""
    if "<!" in svg or "<?" in svg:
        return False
    return all(_draws_only(element) for element in ElementTree.fromstring(svg).iter())  # noqa: S314 - without entities


def _draws_only(element: ElementTree.Element) -> bool:
    return element.tag in _ELEMENTS and not any(
        name.startswith("on") or "href" in name or (":" in value and "url(" in value)
        for name, value in element.attrib.items()
    )


def _coins(known: Path) -> dict[str, dict[str, Any]]:
    """What the icons' metadata says of each coin, by CoinGecko's id: read from the text it was compiled from."""
    compiled = json.loads((known / "dist/metadata/tokens.js.map").read_bytes())
    listed: str = compiled["sourcesContent"][0]
    coins: list[dict[str, Any]] = json.JSONDecoder().raw_decode(listed, listed.index("= [") + 2)[0]
    return {coin["id"]: coin for coin in coins if coin["id"] not in _UNCLEAR}


def _contracts(coins: dict[str, dict[str, Any]]) -> Iterator[tuple[int, str, str]]:
    """Chain, contract and coin of all that has an icon: first what our own list names, then what the others do."""
    found: set[tuple[int, str]] = set()
    for chain in KNOWN_CHAINS:
        if chain.native.coingecko_id in coins:
            yield chain.id, NATIVE_TOKEN, chain.native.coingecko_id
    named = {
        (chain.id, str(address).lower()): coin["id"]
        for chain in KNOWN_CHAINS
        for coin in coins.values()
        if (address := coin.get("addresses", {}).get(chain.coingecko_platform))
    }
    for tokens in (one.tokens for one in shipped_lists()):
        for token in tokens:
            key = (token.chain_id, token.token_address)
            listed_as = token.coingecko_id and _SAME.get(token.coingecko_id, token.coingecko_id)
            coin = listed_as or named.get(key)
            if key in found or coin not in coins:
                continue
            if listed_as or (token.symbol or "").lower() == coins[coin]["symbol"].lower():
                found.add(key)
                yield *key, coin


_NOTICE: Final = """\
The logos in this folder are taken from the package below by 'python -m moonx_pipeline.registry.logos'. They are marks
of those whose tokens they stand for, and are shown to tell tokens apart.
"""

if __name__ == "__main__":
    build()
