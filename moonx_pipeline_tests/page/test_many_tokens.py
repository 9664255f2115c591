"""Three thousand tokens: all of them can be reached, and the document holds only those in sight."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from moonx_pipeline.simulator.world import SPAM_WALLET
from moonx_pipeline_tests.page.look import until_live
from moonx_pipeline_tests.page.site import Site
from moonx_pipeline_tests.page.visits import Visits

MOST_ROWS = 60
ROW_PIXELS = 60
WHEEL_PIXELS = 9_000


def rows_in_document(page: Page) -> int:
    return page.get_by_role("treegrid").get_by_role("row").count()


def _group(reason: str | None) -> str | None:
    """Each group has a line of its own."""
    return reason if reason in (None, "spam", "low_liquidity") else "unsure"


def test_all_tokens_are_reached_by_key_and_by_wheel_with_few_rows_in_the_document(site: Site, visits: Visits) -> None:
    user, _ = site.member(SPAM_WALLET)
    whole = site.gateway.get("/portfolio", user, includeSpam=True)
    tokens, spam = len(whole["positions"]), whole["omitted"]["spam"]
    assert tokens > 2_500
    assert spam > 100
    page = visits.open(site.link(user), viewport={"width": 1280, "height": 900})
    until_live(page)
    table = page.get_by_role("treegrid", name="Tokens")
    expect(page.get_by_role("button", name=re.compile("hidden as spam"))).to_be_visible()

    table.get_by_role("row").nth(1).focus()
    page.keyboard.press("End")
    hidden = table.get_by_role("row", name=re.compile(rf"^Hidden {spam:,} "))
    expect(hidden).to_be_focused()
    page.keyboard.press("Enter")
    expect(hidden).to_have_attribute("aria-expanded", "true")
    rows = 1 + len({_group(one["notCountedReason"]) for one in whole["positions"]}) + tokens
    expect(table).to_have_attribute("aria-rowcount", str(rows))
    last = table.locator(f'[aria-rowindex="{rows}"]')
    assert rows_in_document(page) < MOST_ROWS

    page.keyboard.press("End")
    expect(last).to_be_focused()
    expect(last).to_be_in_viewport()
    assert rows_in_document(page) < MOST_ROWS

    page.keyboard.press("Home")
    expect(table.locator('[aria-rowindex="2"]')).to_be_focused()
    expect(table.locator('[aria-rowindex="2"]')).to_be_in_viewport()
    page.mouse.move(640, 450)
    for _ in range(tokens * ROW_PIXELS // WHEEL_PIXELS + 2):
        page.mouse.wheel(0, WHEEL_PIXELS)
        assert 0 < rows_in_document(page) < MOST_ROWS
    expect(last).to_be_in_viewport()
