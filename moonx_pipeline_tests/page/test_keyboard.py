"""All of the page without a mouse."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from moonx_pipeline_tests.page.look import sync_button, until_live
from moonx_pipeline_tests.page.site import Site
from moonx_pipeline_tests.page.visits import Visits

MOST_STOPS = 40


def tab_to(page: Page, wanted: Locator) -> None:
    """Presses Tab until something has the focus."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{MOST_STOPS} times Tab do not lead to {wanted}")


def test_tab_leads_to_the_button_and_into_the_table_and_arrows_move_there(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    page = visits.open(site.link(user))
    until_live(page)

    tab_to(page, sync_button(page))
    expect(sync_button(page)).to_be_focused()
    rows = page.get_by_role("treegrid").get_by_role("row")
    tab_to(page, rows.nth(1))
    for number in (2, 3, 4):
        page.keyboard.press("ArrowDown")
        expect(rows.nth(number)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(rows.nth(3)).to_be_focused()

    page.keyboard.press("Enter")
    expect(rows.nth(3)).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("treegrid").get_by_text("Contract", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(rows.nth(3)).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Tab")
    expect(rows.nth(3)).not_to_be_focused()


def test_drawers_open_and_close_by_key_and_give_the_focus_back(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    page = visits.open(site.link(user))
    until_live(page)
    account = page.get_by_role("button", name="Account of")

    for item, title in (("Wallets", "Wallets"), ("History of syncs", "Syncs")):
        account.focus()
        page.keyboard.press("Enter")
        tab_to(page, page.get_by_role("button", name=item))
        page.keyboard.press("Enter")
        drawer = page.get_by_role("dialog", name=title)
        expect(drawer).to_be_visible()
        page.keyboard.press("Escape")
        expect(drawer).to_be_hidden()
        expect(account).to_be_focused()

    why = page.get_by_role("button", name=re.compile("^Read "))
    why.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="When each chain was read")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="When each chain was read")).to_be_hidden()
    expect(why).to_be_focused()
