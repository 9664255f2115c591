"""The page's own unit tests, in the language that it is written in."""

from __future__ import annotations

import subprocess

from moonx_pipeline_tests.fixtures.dagster import ROOT


def test_the_pages_rules_hold(built_page: None) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "web-test"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
