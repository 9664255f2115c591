"""Programs that tests need and that Go builds from its module proxy: once, then they are kept in the user's cache."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import fasteners

from moonx_pipeline_tests.fixtures.missing import unavailable

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moonx"
"""What takes minutes to make and is the same for every checkout."""

BUILD_SECONDS = 1800
"""The first build of Helm takes minutes on two cores; then it is kept in the user's cache."""


@functools.cache
def go_tool(package: str, version: str, name: str) -> Path:
    """The executable of a package; built if it is not kept yet, which takes minutes."""
    tool = CACHE / f"{package.replace('/', '-')}-{version}" / name
    tool.parent.mkdir(parents=True, exist_ok=True)
    with fasteners.InterProcessLock(tool.parent / "lock"):  # sessions side by side build it once
        _build(package, version, tool)
    return tool


def _build(package: str, version: str, tool: Path) -> None:
    if not tool.exists():
        if shutil.which("go") is None:
            unavailable(f"{package} needs Go, which is not on this machine.")
        done = subprocess.run(
            ["go", "install", "-ldflags", "-s -w", f"{package}@{version}"],
            env={**os.environ, "GOBIN": str(tool.parent), "GOFLAGS": "-buildvcs=false"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            unavailable(f"{package} could not be had from the Go module proxy: {done.stderr[-400:]}")
