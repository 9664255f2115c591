"""A git revision of this project, checked out and installed beside it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from moonx_pipeline.bench.session import Checkout
from moonx_pipeline.errors import OperatorError

_ROOT: Final = Path(__file__).parents[2]


def is_revision(name: str) -> bool:
    """Whether git knows it as a commit of this checkout."""
    return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").returncode == 0


@contextmanager
def checked_out(revision: str) -> Iterator[Checkout]:
    """Another revision with its locked requirements, removed afterwards.

    Raises:
        OperatorError: It can't be checked out or installed, or can't run benchmarks by name.
    """
    with tempfile.TemporaryDirectory(prefix="moonx-revision-", ignore_cleanup_errors=True) as folder:
        checkout = Path(folder) / "moonx"
        _succeed(_git("worktree", "add", "--detach", str(checkout), revision), f"check out {revision}")
        try:
            if not (checkout / "moonx_pipeline" / "bench" / "__main__.py").is_file():
                raise OperatorError(
                    f"{revision} is from before benchmarks had names: it can only be compared by its own 'moonx bench' "
                    "and the file that writes."
                )
            _succeed(_run("make", "-C", str(checkout), "install"), f"install {revision}")
            yield Checkout(checkout, checkout / ".venv" / "bin" / "python")
        finally:
            _git("worktree", "remove", "--force", str(checkout))


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run("git", *arguments)


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which(program)
    if path is None:
        raise OperatorError(f"{program} is not on this machine: compare with a report instead of a revision.")
    return subprocess.run([path, *arguments], cwd=_ROOT, capture_output=True, text=True)


def _succeed(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise OperatorError(f"Can't {what}: {said[-1] if said else f'exit code {done.returncode}'}")
