"""Running ``moonx`` as an operator does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from moonx_pipeline_tests.support.forked import run_module

ROOT = Path(__file__).parents[2]
_OURS = ("ALCHEMY", "KAFKA", "DB_", "DATABASE", "MOONX", "DAGSTER", "BINANCE", "COINGECKO", "DEXSCREENER", "RPC_")


def environment_with(**environment: str) -> dict[str, str]:
    """This machine's environment without what would set the product up, and with what is given."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**clean, "COLUMNS": "200", **environment}


def moonx(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command's exit code and what it said, once it has ended."""
    return run_module("moonx_pipeline", *arguments, env=environment_with(**environment), cwd=cwd)
