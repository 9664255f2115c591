"""Builds ``snapshot.json`` and ``NOTICE`` from published token lists: ``python -m moonx_pipeline.registry.build``.

It needs npm, which fetches the packages; it runs none of their code. To update, change the versions below, run it,
and read the difference before committing it: these contracts are never hidden as spam.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import click
import msgspec

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.providers.token_lists import parse_token_list
from moonx_pipeline.registry.snapshot import FOLDER, SNAPSHOT, PublishedList

_SECONDS: Final = 300
_LICENCE: Final = "MIT"
"""Another license may not allow a copy in the package: such a list is configured by its URL instead."""


class Source(NamedTuple):
    """A published package.

    Attributes:
        name: Of the list in it; empty if it holds none.
        package: At npm.
        version: Of the package.
    """

    name: str
    package: str
    version: str


def _from_source_map(folder: Path) -> bytes:
    """Reads the list from a source map: the package holds it as a program, and beside it the JSON it was made from."""
    made_from = json.loads((folder / "dist/optimism.tokenlist.js.map").read_bytes())
    place = made_from["sources"].index("../optimism.tokenlist.json")
    text: str = made_from["sourcesContent"][place]
    return text.encode()


SOURCES: Final[dict[Source, Callable[[Path], bytes]]] = {
    # Assets that Aave lends, with its receipts for them and the wrappers of those, but not its debt tokens.
    Source("aave", "@aave-dao/aave-address-book", "4.68.1"): lambda folder: (folder / "tokenlist.json").read_bytes(),
    # Bridged tokens of Ethereum, OP Mainnet and Base.
    Source("superchain", "@eth-optimism/tokenlist", "10.0.1770"): _from_source_map,
}
"""The lists, with what reads each from its unpacked package."""

_NOTICE_HEADER: Final = """\
snapshot.json holds contracts, symbols, names and addresses of logos from the packages below. It is made by
'python -m moonx_pipeline.registry.build'. Their logos are not in it.
"""
_MIT: Final = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


@click.command()
def build() -> None:
    """Write snapshot.json and NOTICE anew."""
    taken, notices = [], [_NOTICE_HEADER]
    for source, read in SOURCES.items():
        with tempfile.TemporaryDirectory(prefix="moonx-lists-") as scratch:
            folder = fetch(source, Path(scratch))
            taken.append(take(source, read(folder), take_licence(source, folder)))
            notices.append(notice_of(source, folder))
        click.echo(f"{source.name}: {len(taken[-1].tokens)} tokens of {source.package} {source.version}")
    SNAPSHOT.write_bytes(as_lines(taken))
    (FOLDER / "NOTICE").write_text("\n".join(notices))


def fetch(source: Source, scratch: Path) -> Path:
    """Fetches a package and unpacks it; returns its folder.

    Raises:
        OperatorError: npm is missing, or could not fetch it.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise OperatorError("npm is not installed: it fetches the published lists.")
    command = [npm, "pack", "--silent", "--ignore-scripts", f"{source.package}@{source.version}"]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603
    if done.returncode:
        raise OperatorError(f"npm could not fetch {source.package} {source.version}: {done.stderr.strip()[-300:]}")
    with tarfile.open(next(scratch.glob("*.tgz"))) as archive:
        archive.extractall(scratch, filter="data")
    return scratch / "package"


def take(source: Source, published: bytes, licence: str) -> PublishedList:
    """The tokens of a list as it was published."""
    _, tokens = parse_token_list(published)
    rows = [(token.chain_id, token.token_address, token.symbol, token.name, token.logo_url) for token in tokens]
    return PublishedList(source.name, source.package, source.version, licence, rows)


def take_licence(source: Source, folder: Path) -> str:
    """The license of an unpacked package.

    Raises:
        OperatorError: It does not allow a copy here.
    """
    licence: str | None = json.loads((folder / "package.json").read_bytes()).get("license")
    if licence != _LICENCE:
        raise OperatorError(f"{source.package} {source.version} is under '{licence}', not {_LICENCE}: don't ship it.")
    return licence


def notice_of(source: Source, folder: Path) -> str:
    """The copyright and license of an unpacked package."""
    title = (
        f"{source.package} {source.version} (the list '{source.name}')"
        if source.name
        else f"{source.package} {source.version}"
    )
    text = next((file.read_text() for file in sorted(folder.glob("LICEN[CS]E*"))), None)
    if text is None:
        author = json.loads((folder / "package.json").read_bytes()).get("author", "its authors")
        text = f"{_LICENCE} by its package.json; the package has no licence file.\n\nCopyright {author}\n\n{_MIT}"
    return f"{'-' * 80}\n{title}\n{'-' * 80}\n\n{text.strip()}\n"


def as_lines(lists: list[PublishedList]) -> bytes:
    """Lists as JSON with one line a token, so that a diff shows what changed."""
    parts = []
    for taken in lists:
        head = msgspec.json.encode(msgspec.structs.replace(taken, tokens=[]))[: -len(b"]}")]
        parts.append(head + b"\n" + b",\n".join(map(msgspec.json.encode, taken.tokens)) + b"]}")
    return b"[\n" + b",\n".join(parts) + b"\n]\n"


if __name__ == "__main__":
    build()
