"""A browser, the built page, and the whole system behind it, started once for all tests of this folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from moonx_pipeline.bench.page import CHROMIUM_OPTIONS
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.fixtures.dagster import ROOT
from moonx_pipeline_tests.fixtures.missing import unavailable
from moonx_pipeline_tests.page.site import Site, running_site
from moonx_pipeline_tests.page.visits import Visits

# How long a busy machine may take, not how long a user waits.
expect.set_options(timeout=60_000)
_failed = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def built_page() -> None:
    """The page as ``make web`` builds it into the package."""
    done = subprocess.run(
        ["make", "--no-print-directory", "web"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        if not (ROOT / "web" / "node_modules" / ".package-lock.json").exists():
            unavailable(f"The page needs Node and its packages, which can't be had: {said}")
        pytest.fail(f"make web: {said}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The machine's Chromium. Stopped after this folder: Playwright's loop occupies the thread that it runs in."""
    # The one without a window of its own takes less of the machine.
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if chromium is None:
        unavailable("The page's tests need Chromium, which is not on this machine.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def running(
    built_page: None,
    postgres_server: str,
    simulator_server: RunningSimulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    with running_site(postgres_server, simulator_server, tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site(running: Site) -> Site:
    """The system, in a world as at its start; tests keep apart by their users."""
    running.calm_down()
    return running


@pytest.fixture
def visits(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Visits]:
    """Opens the page in browsers of people; nothing strange may have happened in any of them."""
    visits = Visits(browser)
    yield visits
    if request.node.stash.get(_failed, False):
        visits.keep_pictures(tmp_path)
    visits.close()
    assert visits.strange == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report
