"""Breaks the rules about prices, spam and totals one by one, and says which test sees it.

``python -m moonx_pipeline_tests.domain.mutations`` prints a line a mutation. Each is one change of the text of one
module, tried in a process of its own by the tests of that module that need no drawn examples. Nothing is written.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import pytest

FOLDER: Final = Path(__file__).parent
RULES: Final = FOLDER.parent.parent / "moonx_pipeline" / "domain"
_SIDE_BY_SIDE: Final = 2
# Without what takes longer than the tests themselves.
_OPTIONS: Final = (
    *("-x", "-q", "-m", "not hypothesis", "--assert=plain", "--noconftest", "-c", os.devnull, "--rootdir", str(FOLDER)),
    *("-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:threadexception", "-p", "no:logging"),
)
# Loaded once, so that a try only loads the rules and their tests.
_SHARED: Final = ("hypothesis", "msgspec", "sqlalchemy", "_hypothesis_pytestplugin")


class Mutation(NamedTuple):
    """One broken rule.

    Attributes:
        module: Of ``moonx_pipeline.domain``.
        breaks: Which rule, for people.
        old: Text that stands in the module exactly once.
        new: What stands there instead.
    """

    module: str
    breaks: str
    old: str
    new: str


class Outcome(NamedTuple):
    """What the tests made of a mutation: the first test that failed, or ``None`` where none did."""

    mutation: Mutation
    caught_by: str | None


_TESTS: Final = {
    "evidence": ("test_evidence.py", "test_market.py"),
    "identity": ("test_identity.py", "test_market.py"),
    "inputs": ("test_inputs.py",),
    "pools": ("test_pools.py",),
    "price_limits": ("test_pricing.py", "test_contradictions.py"),
    "pricing": ("test_pricing.py", "test_contradictions.py", "test_vault_shares.py"),
    "spam": ("test_spam.py", "test_valuation.py"),
    "market": ("test_market.py", "test_valuation.py", "test_vault_shares.py"),
    "valuation": (
        "test_valuation.py",
        "test_bounds.py",
        "test_vault_shares.py",
        "test_totals.py",
        "test_content_hash.py",
    ),
    "flags": ("test_totals.py", "test_valuation.py"),
    "vault_shares": ("test_vault_shares.py",),
}

MUTATIONS: Final = tuple(
    Mutation(module, *row)
    for module, rows in tomllib.loads((FOLDER / "mutations.toml").read_text()).items()
    for row in rows
)


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module as the mutation has it."""

    def __init__(self, mutation: Mutation) -> None:
        self._name = f"moonx_pipeline.domain.{mutation.module}"
        self._source = mutated(mutation)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, f"{module.__name__} (mutated)", "exec"), module.__dict__)  # noqa: S102


class _FirstFailure:
    """A plugin of pytest that notes the first test that fails."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid.rpartition("/")[2]


def mutated(mutation: Mutation) -> str:
    """A module's text with the rule broken.

    Raises:
        LookupError: The text to change does not stand there exactly once: the rule has changed, and so must this table.
    """
    source = (RULES / f"{mutation.module}.py").read_text()
    times = source.count(mutation.old)
    if times != 1:
        raise LookupError(f"{mutation.module}.py has {times} times what '{mutation.breaks}' changes: {mutation.old!r}.")
    return source.replace(mutation.old, mutation.new)


def _try(mutation: Mutation, answer: int) -> None:
    """Runs the tests of the mutated module in this process, and writes which one failed first."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.meta_path.insert(0, _Mutated(mutation))
    first = _FirstFailure()
    files = [str(FOLDER / name) for name in _TESTS[mutation.module]]
    code = pytest.main([*_OPTIONS, *files], plugins=[first])
    found = first.name if code == pytest.ExitCode.TESTS_FAILED else "" if code == pytest.ExitCode.OK else "?"
    os.write(answer, found.encode())


def _start(mutation: Mutation) -> tuple[int, int]:
    """Tries a mutation in a process of its own; returns its id and where its answer is read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        _try(mutation, writer)
    finally:
        os._exit(0)


def outcomes(mutations: Sequence[Mutation] = MUTATIONS) -> Iterator[Outcome]:
    """Tries mutations, some side by side; in the order of the table.

    Raises:
        RuntimeError: The tests could not be run at all on one.
    """
    waiting = list(mutations)
    running: list[tuple[Mutation, int, int]] = []
    while waiting or running:
        while waiting and len(running) < _SIDE_BY_SIDE:
            mutation = waiting.pop(0)
            running.append((mutation, *_start(mutation)))
        mutation, child, reader = running.pop(0)
        with os.fdopen(reader) as said:
            test = said.read()
        os.waitpid(child, 0)
        if test == "?":
            raise RuntimeError(f"The tests of {mutation.module} do not run with '{mutation.breaks}'.")
        yield Outcome(mutation, test or None)


def main() -> int:
    """Tries all; 1 where one survives."""
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "_hypothesis_pytestplugin"}
    sys.dont_write_bytecode = True
    for name in _SHARED:
        importlib.import_module(name)
    survived = 0
    for (module, breaks, _, _), test in outcomes():
        survived += test is None
        print(f"{module}: {breaks}: {test or 'NO TEST FAILS'}", flush=True)  # noqa: T201
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
