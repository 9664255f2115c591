"""Three published token lists as npm has them, installed into a cache outside the tree; nothing of them is shipped.

They are read here without the pipeline's own reader, which they are to prove right or wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from moonx_pipeline_tests.fixtures.missing import unavailable

_MANIFEST = tuple(Path(__file__).parent / "lists" / name for name in ("package.json", "package-lock.json", ".npmrc"))
_SECONDS = 240
_CHAINS = frozenset({1, 137, 10, 42161, 8453})
_NOT_TOKENS = frozenset(
    {
        "0x0000000000000000000000000000000000000000",
        "0x0000000000000000000000000000000000001010",
        "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000",
        "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
    }
)
"""Where lists name a native coin as a token."""


@dataclass(frozen=True)
class Entry:
    """A contract as a list names it."""

    chain_id: int
    address: str
    symbol: str
    name: str


@lru_cache(maxsize=1)
def published_lists() -> dict[str, tuple[Entry, ...]]:
    """The contracts of each list on the five chains, native coins left out; skips where npm can't have them."""
    modules = _installed() / "node_modules"
    optimism = json.loads((modules / "@eth-optimism/tokenlist/dist/optimism.tokenlist.js.map").read_text())
    made_from = optimism["sourcesContent"][optimism["sources"].index("../optimism.tokenlist.json")]
    aave = (modules / "@aave-dao/aave-address-book/tokenlist.json").read_text()
    uniswap = (modules / "@uniswap/default-token-list/build/uniswap-default.tokenlist.json").read_text()
    return {
        name: _entries(json.loads(text)["tokens"])
        for name, text in (("optimism", made_from), ("aave", aave), ("uniswap", uniswap))
    }


def _entries(rows: list[dict[str, Any]]) -> tuple[Entry, ...]:
    ours = {
        (row["chainId"], row["address"].lower()): Entry(
            row["chainId"], row["address"].lower(), row["symbol"], row["name"]
        )
        for row in rows
        if row["chainId"] in _CHAINS and row["address"].lower() not in _NOT_TOKENS
    }
    return tuple(entry for _, entry in sorted(ours.items()))


def _installed() -> Path:
    """The folder with the packages, made once for all sessions."""
    npm = shutil.which("npm")
    if npm is None:
        unavailable("The published token lists are installed by npm, which was not found.")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moonx"
    cache.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in _MANIFEST)).hexdigest()[:16]
    folder = cache / f"published-lists-{digest}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(dir=cache, prefix="npm-") as scratch:
        packages = Path(scratch) / folder.name
        packages.mkdir()
        for file in _MANIFEST:
            shutil.copy(file, packages)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            unavailable(f"npm had not installed the published token lists after {_SECONDS} seconds.")
        if done.returncode:
            unavailable(f"npm could not install the published token lists: {done.stderr.strip()[-300:]}")
        try:
            packages.rename(folder)
        except OSError:
            if not folder.exists():  # else another session was faster, and its packages are the same
                raise
    return folder
