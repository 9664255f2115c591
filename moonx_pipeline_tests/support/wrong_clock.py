"""Processes on a host whose clock is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from moonx_pipeline_tests.fixtures.missing import unavailable

_SHIM: Final = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += %d;
    return failed;
}
"""


def wrong_clock(folder: Path, *, ahead_seconds: int) -> dict[str, str]:
    """An environment under which a process believes that it is later; only the wall clock is moved."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        unavailable("there is no C compiler for a library that moves the clock")
    source, library = folder / f"clock{ahead_seconds}.c", folder / f"clock{ahead_seconds}.so"
    source.write_text(_SHIM % ahead_seconds)
    subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}
