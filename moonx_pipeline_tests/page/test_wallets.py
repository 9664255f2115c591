"""The first visit, from a pasted address to its portfolio, and the list of wallets."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from moonx_pipeline.simulator.world import EMPTY_WALLET, PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline_tests.page.look import open_account, row, total, until_live
from moonx_pipeline_tests.page.site import Site
from moonx_pipeline_tests.page.visits import Visits

# Its first letter has the wrong case for its checksum.
MISTYPED = "0xD8dA6BF26964aF9D7eEd9e03E53415D37aA96045"


def short(address: str) -> str:
    return f"{address[:6]}…{address[-4:]}"


def test_a_pasted_address_becomes_a_portfolio_once_it_is_typed_right(site: Site, visits: Visits) -> None:
    page = visits.open(site.link(site.stranger()))
    expect(page.get_by_role("heading", name="Which wallet is yours?")).to_be_visible()
    field = page.get_by_label("Wallet address")
    expect(field).to_be_focused()

    page.keyboard.type(PLAIN_WALLET[:-1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("It is 1 character short: an address has 40 after 0x.")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(MISTYPED)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("checksum|mistyped", re.IGNORECASE))
    field.fill(PLAIN_WALLET)
    page.keyboard.press("Enter")

    until_live(page)
    expect(total(page)).to_have_text(re.compile(r"Worth \$[1-9][\d,]+\.\d\d"))
    expect(row(page, "USDC", "Ethereum")).to_contain_text("4,200.5")


def test_wallets_are_added_and_removed_and_the_table_follows(site: Site, visits: Visits) -> None:
    user, _ = site.member(PLAIN_WALLET)
    page = visits.open(site.link(user))
    until_live(page)
    expect(row(page, "NIMB", "Polygon")).to_be_hidden()

    open_account(page, "Wallets")
    wallets = page.get_by_role("dialog", name="Wallets")
    wallets.get_by_label("Wallet address").fill(POLYGON_WALLET)
    wallets.get_by_role("button", name="Add", exact=True).click()
    expect(wallets.get_by_role("listitem")).to_have_count(2)
    expect(row(page, "NIMB", "Polygon")).to_contain_text("400")

    wallets.get_by_role("button", name=f"Remove {short(PLAIN_WALLET)}").click()
    expect(wallets.get_by_role("button", name="Keep it")).to_be_focused()
    wallets.get_by_role("button", name="Remove wallet").click()
    expect(wallets.get_by_role("listitem")).to_have_count(1)
    expect(wallets).to_contain_text(short(POLYGON_WALLET))
    page.keyboard.press("Escape")
    expect(row(page, "LINK", "Ethereum")).to_be_hidden()
    expect(row(page, "NIMB", "Polygon")).to_be_visible()


def test_two_pages_that_add_a_wallet_at_once_add_both(site: Site, visits: Visits) -> None:
    user, _ = site.member(PLAIN_WALLET)
    first, second = visits.open(site.link(user)), visits.open(site.link(user))
    changed: list[Route] = []

    def change_elsewhere(route: Route) -> None:
        if route.request.method == "PUT" and not changed:
            changed.append(route)
            add(second, POLYGON_WALLET)
        route.continue_()

    first.route("**/api/v1/wallets", change_elsewhere)
    add(first, EMPTY_WALLET)

    assert changed
    for page in (first, second):
        page.reload()
        open_account(page, "Wallets")
        expect(page.get_by_role("dialog", name="Wallets").get_by_role("listitem")).to_have_count(3)


def add(page: Page, address: str) -> None:
    open_account(page, "Wallets")
    wallets = page.get_by_role("dialog", name="Wallets")
    wallets.get_by_label("Wallet address").fill(address)
    wallets.get_by_role("button", name="Add", exact=True).click()
    expect(wallets.get_by_text(short(address))).to_be_visible()
