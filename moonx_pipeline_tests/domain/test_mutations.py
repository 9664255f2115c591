"""No rule can be broken without a test that fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

from moonx_pipeline_tests.domain.mutations import MUTATIONS, mutated


def test_every_mutation_changes_a_rule_as_it_stands_now() -> None:
    for mutation in MUTATIONS:
        compile(mutated(mutation), mutation.breaks, "exec")
    assert len({(mutation.module, mutation.breaks) for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_rule_can_be_broken_unseen() -> None:
    tried = subprocess.run(
        [sys.executable, "-m", "moonx_pipeline_tests.domain.mutations"], capture_output=True, text=True, check=False
    )
    lines = tried.stdout.splitlines()
    assert tried.returncode in (0, 1), tried.stderr
    assert len(lines) == len(MUTATIONS)
    assert [line for line in lines if line.endswith("NO TEST FAILS")] == []
