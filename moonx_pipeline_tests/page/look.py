"""Where things are on the page, as a person finds them: by their role and their words."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect


def sync_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Sync now")


def panel(page: Page) -> Locator:
    """What is said about the sync that runs or ran."""
    return page.get_by_role("region", name="Sync", exact=True)


def total(page: Page) -> Locator:
    """The number."""
    return page.get_by_role("heading", level=1)


def row(page: Page, symbol: str, chain: str) -> Locator:
    """A position's line in the table."""
    cells = [page.get_by_role("gridcell", name=re.compile(rf"^{word}\b")) for word in (symbol, chain)]
    return page.get_by_role("treegrid", name="Tokens").get_by_role("row").filter(has=cells[0]).filter(has=cells[1])


def mark(page: Page, chain: str) -> Locator:
    """A chain's mark in the sync that runs."""
    return panel(page).get_by_role("listitem").filter(has_text=f"{chain}:")


def open_account(page: Page, item: str) -> None:
    """Chooses from the menu of the account."""
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("button", name=item).click()


def until_live(page: Page) -> None:
    """Waits until the page shows a portfolio and hears of changes."""
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_role("treegrid", name="Tokens")).to_be_visible()
