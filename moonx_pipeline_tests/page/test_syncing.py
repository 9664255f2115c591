"""Syncs as their user sees them: asked for, under way, ended, refused, cancelled."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from moonx_pipeline_tests.page.look import mark, open_account, panel, row, sync_button, total, until_live
from moonx_pipeline_tests.page.site import BASE, ETHEREUM, Site, sim_token
from moonx_pipeline_tests.page.visits import Visits


def test_a_click_fills_the_marks_of_the_chains_and_changes_the_amounts_in_place(site: Site, visits: Visits) -> None:
    usdc = sim_token(BASE, "USDC")
    user, wallet = site.member(holds=(usdc, "100"))
    page = visits.open(site.link(user))
    until_live(page)
    expect(row(page, "USDC", "Base")).to_contain_text("100")
    page.evaluate("window.isSamePage = true")

    site.hold(wallet, usdc, "112.5")
    site.slow_polygon_down(wallet)
    sync_button(page).click()

    expect(mark(page, "Base")).to_contain_text("Base: read")
    expect(mark(page, "Polygon")).to_contain_text("Polygon: being read")
    expect(sync_button(page)).to_be_visible()
    expect(panel(page)).to_contain_text("+ 12.5 USDC on Base")
    expect(row(page, "USDC", "Base")).to_contain_text("112.5")
    assert page.evaluate("window.isSamePage")


def test_a_chain_that_does_not_answer_is_named_with_its_age_and_its_value_stays(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    page = visits.open(site.link(user))
    until_live(page)
    before = total(page).inner_text()

    site.take_polygon_down(wallet)
    sync_button(page).click()

    expect(panel(page)).to_contain_text(re.compile(r"Polygon did not answer.*Its amounts are as of \d\d:\d\d\."))
    expect(page.get_by_role("button", name=re.compile(r"^Polygon as of \d\d:\d\d, it did not answer$"))).to_be_visible()
    expect(row(page, "POL", "Polygon")).to_contain_text(re.compile(r"as of \d\d:\d\d"))
    expect(row(page, "ETH", "Base")).not_to_contain_text("as of")
    assert total(page).inner_text() == before

    page.get_by_role("button", name=re.compile("^Polygon as of")).click()
    why = page.get_by_role("region", name="When each chain was read")
    expect(why.get_by_role("listitem").filter(has_text="Polygon")).to_contain_text(re.compile(r"\d+ s ago|just now"))


def test_an_outage_of_all_chains_is_said_by_the_open_page(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    page = visits.open(site.link(user))
    until_live(page)
    expect(page.get_by_role("button", name=re.compile(r"^Read .* · all 5 chains$"))).to_be_visible()
    before = total(page).inner_text()

    site.take_every_chain_down(wallet)
    site.read(user)

    expect(page.get_by_role("button", name=re.compile(r"^No chain has answered since \d\d:\d\d$"))).to_be_visible()
    expect(row(page, "ETH", "Base")).to_contain_text(re.compile(r"as of \d\d:\d\d"))
    assert total(page).inner_text() == before


def test_a_sync_that_nobody_here_asked_for_moves_the_values_of_the_open_page(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    site.hold(wallet, sim_token(ETHEREUM, "ETH"), "2")
    site.move_price("ETH", "2000")
    site.read(user)
    page = visits.open(site.link(user))
    until_live(page)
    expect(row(page, "ETH", "Ethereum")).to_contain_text("$4,000.00")

    site.move_price("ETH", "2100")
    site.sync_by_operator(user)

    expect(row(page, "ETH", "Ethereum")).to_contain_text("$2,100.00")
    expect(row(page, "ETH", "Ethereum")).to_contain_text("$4,200.00")


def test_when_all_syncs_are_used_the_button_says_until_when(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    page = visits.open(site.link(user))
    until_live(page)

    for left in (4, 3, 2, 1):
        sync_button(page).click()
        expect(panel(page)).to_contain_text(f"{left} of 5 syncs left")
        expect(sync_button(page)).to_be_visible()
    sync_button(page).click()

    button = sync_button(page)
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_accessible_description(re.compile(r"All 5 syncs are used\. .*comes back at \d\d:\d\d\."))
    expect(panel(page)).to_contain_text(re.compile(r"All 5 syncs are used\. .*at \d\d:\d\d, in 1[45]:\d\d"))
    button.click(force=True)
    expect(panel(page)).to_contain_text("All 5 syncs are used")
    assert len(site.gateway.get("/sync/operations", user)) == 6


def test_a_sync_that_hangs_is_cancelled_from_the_list_of_syncs(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    page = visits.open(site.link(user))
    until_live(page)
    site.simulator.fault("hang", wallet=wallet)
    sync_button(page).click()
    expect(mark(page, "Polygon")).to_contain_text("being read")

    open_account(page, "History of syncs")
    syncs = page.get_by_role("dialog", name="Syncs")
    expect(syncs.get_by_text("Running")).to_be_visible()
    syncs.get_by_role("button", name="Cancel this sync").click()

    expect(syncs.get_by_text("Cancelled", exact=True)).to_be_visible()
    expect(syncs.get_by_text("It was cancelled")).to_be_visible()
    page.keyboard.press("Escape")
    expect(syncs).to_be_hidden()
    expect(sync_button(page)).to_be_visible()


def test_the_list_of_syncs_tells_how_each_ended_and_why(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    site.take_polygon_down(wallet)
    site.read(user)
    page = visits.open(site.link(user))
    until_live(page)

    open_account(page, "History of syncs")

    syncs = page.get_by_role("dialog", name="Syncs").get_by_role("listitem")
    expect(syncs).to_have_count(2)
    expect(syncs.nth(0)).to_contain_text("Partly done")
    expect(syncs.nth(0)).to_contain_text("4 chains answered, not all")
    expect(syncs.nth(1)).to_contain_text("Done")
    syncs.nth(0).get_by_text("Partly done").click()
    expect(syncs.nth(0)).to_contain_text("Polygon did not answer")
    expect(syncs.nth(0)).to_contain_text(re.compile(r"Base: \d+ tokens"))


def test_the_positions_are_saved_for_a_spreadsheet(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    page = visits.open(site.link(user))
    until_live(page)

    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()

    assert re.fullmatch(r"portfolio-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    lines = download.value.path().read_text().splitlines()
    held = site.gateway.get("/portfolio", user)["positions"]
    assert len(lines) == len(held) + 1
    assert all(wallet in line for line in lines[1:])
