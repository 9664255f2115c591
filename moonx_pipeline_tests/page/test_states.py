"""Every state that the page has a fixture of: it opens, says what it is, and can be used by everybody."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from moonx_pipeline_tests.page.look import open_account
from moonx_pipeline_tests.page.states import NAMES, State
from moonx_pipeline_tests.page.visits import Visits
from moonx_pipeline_tests.support.accessibility import THEMES, problems_for_some

pytestmark = pytest.mark.usefixtures("built_page")

SAYS: Final = {
    "admin": r"Circuit breakers",
    "all-stale": r"No chain has answered since",
    "empty": r"These wallets hold nothing yet",
    "ended": r"Your session ended",
    "error": r"The portfolio could not be read",
    "expired": r"Your session ended",
    "first-day": r"24 h, by prices.*from tomorrow on the line compares with a day before",
    "first-sync": r"Reading",
    "first-visit": r"Which wallet is yours\?",
    "fresh": r"Read \d+ s ago · all 5 chains",
    "hostile": r"<img src=x onerror=",
    "limit": r"All 5 syncs are used",
    "loading": r"Live",
    "low-liquidity-and-unread": r"2 tokens could not be read.*2 tokens hard to sell.*6 prices not trusted",
    "offline": r"The server can't be reached\. This is what was known",
    "offline-unknown": r"The server can't be reached",
    "only-spam": r"All that these wallets hold looks like spam",
    "paused": r"All syncs are paused since",
    "reconnecting": r"Reconnecting",
    "stale": r"Polygon as of .*, it did not answer",
    "syncing": r"Polygon did not answer",
}
"""What each state says, as a pattern; a new fixture has its line here."""


@pytest.fixture(scope="module")
def blank(browser: Browser) -> int:
    """The size of a picture of nothing."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    size = len(page.screenshot())
    page.close()
    return size


@pytest.mark.parametrize("name", NAMES)
def test_a_state_opens_and_says_what_it_is(name: str, visits: Visits, blank: int) -> None:
    browser = visits.browser(viewport={"width": 1280, "height": 900})

    page = State(name).open(visits, browser, "/admin" if name == "admin" else "/")

    expect(page.locator("body")).to_contain_text(re.compile(SAYS[name]))
    assert len(page.screenshot()) > 2 * blank


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["fresh", "stale", "first-visit", "offline"])
def test_a_state_keeps_nobody_from_using_it(name: str, theme: str, visits: Visits) -> None:
    page = State(name).open(visits, visits.browser(color_scheme=theme))
    expect(page.locator("body")).to_contain_text(re.compile(SAYS[name]))

    assert problems_for_some(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_drawers_and_the_operators_view_keep_nobody_from_using_them(theme: str, visits: Visits) -> None:
    browser = visits.browser(color_scheme=theme)
    page = State("fresh").open(visits, browser)
    for item, title in (("Wallets", "Wallets"), ("History of syncs", "Syncs")):
        open_account(page, item)
        drawer = page.get_by_role("dialog", name=title)
        expect(drawer.get_by_role("listitem").first).to_be_visible()
        assert problems_for_some(page) == []
        page.keyboard.press("Escape")

    operators = State("admin").open(visits, browser, "/admin")
    expect(operators.get_by_role("heading", name="Circuit breakers")).to_be_visible()
    expect(operators.get_by_role("heading", name="Days (UTC)")).to_be_visible()
    assert problems_for_some(operators) == []
