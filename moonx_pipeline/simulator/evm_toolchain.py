"""The EVM node and the compiled contracts, installed by npm into a cache outside the tree."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from moonx_pipeline.errors import OperatorError

_SOURCES: Final = Path(__file__).parent / "evm"
_MANIFEST: Final = (_SOURCES / "package.json", _SOURCES / "package-lock.json")
_COMPILER: Final = _SOURCES / "compile.js"
_CONTRACTS: Final = _SOURCES / "contracts"
_INSTALL_SECONDS: Final = 300
_COMPILE_SECONDS: Final = 120


class ToolchainMissing(OperatorError):
    """npm is absent, or could not fetch the packages."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The parts of a development chain.

    Attributes:
        anvil: The node's executable.
        bytecode: Creation code as 0x-hex by contract name, such as ``StandardToken``.
    """

    anvil: Path
    bytecode: Mapping[str, str]


def ensure_toolchain(cache_dir: Path) -> Toolchain:
    """Installs the locked npm packages and compiles the contracts, unless the cache has them.

    Cache entries are named by a hash of their sources and appear by one rename: several processes may do this at the
    same time, and one that is killed leaves nothing half done.

    Args:
        cache_dir: A folder that outlives checkouts; created if it does not exist.

    Raises:
        ToolchainMissing: npm is not installed, or could not fetch the packages.
        OperatorError: The platform has no build of the node, or a contract does not compile.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    modules = _ensure_packages(cache_dir) / "node_modules"
    anvil = next(modules.glob("@foundry-rs/anvil-*/bin/anvil*"), None)
    if anvil is None:
        raise OperatorError(
            f"npm found no EVM node for this platform and left none in {modules}. "
            "Anvil is published for Linux and macOS on x86-64 and ARM: use one of these."
        )
    return Toolchain(anvil=anvil, bytecode=_ensure_bytecode(cache_dir, modules))


def _ensure_packages(cache_dir: Path) -> Path:
    folder = cache_dir / f"evm-{_digest(_MANIFEST)}"
    if folder.exists():
        return folder
    npm = _executable("npm")
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix="npm-") as scratch:
        packages = Path(scratch) / folder.name
        packages.mkdir()
        for file in _MANIFEST:
            shutil.copy(file, packages)
        # No install scripts: the node's binary is a separate package and needs none.
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = _run(command, folder=packages, seconds=_INSTALL_SECONDS)
        if done.returncode:
            raise ToolchainMissing(
                f"npm could not install the EVM node and its contracts: {_gist(done.stderr)}. "
                "Check that this machine reaches an npm registry ('npm ping'), then try again."
            )
        try:
            packages.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same packages
                raise
    return folder


def _ensure_bytecode(cache_dir: Path, modules: Path) -> dict[str, str]:
    # The manifest is part of the name: it pins the compiler and the contracts that ours extend.
    sources = (*_MANIFEST, _COMPILER, *sorted(_CONTRACTS.glob("*.sol")))
    target = cache_dir / f"contracts-{_digest(sources)}.json"
    if not target.exists():
        command = [_executable("node"), str(_COMPILER), str(_CONTRACTS), str(modules)]
        done = _run(command, folder=cache_dir, seconds=_COMPILE_SECONDS)
        if done.returncode:
            raise OperatorError(f"The contracts in {_CONTRACTS} do not compile; mend them first:\n{done.stderr}")
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix="solc-") as scratch:
            compiled = Path(scratch) / target.name
            compiled.write_text(done.stdout)
            compiled.replace(target)
    return msgspec.json.decode(target.read_bytes(), type=dict[str, str])


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _executable(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ToolchainMissing(
            f"'{name}' was not found, and the EVM nodes are installed by npm. "
            "Install Node.js 20 or newer, then try again."
        )
    return path


def _run(command: list[str], *, folder: Path, seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed commands over our own files, no text of a user
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it took more than {seconds:.0f} seconds")


def _gist(stderr: str) -> str:
    """The first informative line of npm's error, without npm's prefix."""
    lines = (line.removeprefix("npm error").strip() for line in stderr.splitlines() if "warn" not in line)
    return next((line for line in lines if line), "it gave no reason")
