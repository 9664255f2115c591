"""What the page says while its server is away, and when its session is over; and how it goes on."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from moonx_pipeline_tests.page.look import row, until_live
from moonx_pipeline_tests.page.site import BASE, Site, sim_token
from moonx_pipeline_tests.page.visits import Visits


def test_a_server_that_is_gone_is_said_and_what_it_missed_is_there_when_it_is_back(site: Site, visits: Visits) -> None:
    usdc = sim_token(BASE, "USDC")
    user, wallet = site.member(holds=(usdc, "100"))
    page = visits.open(site.link(user))
    until_live(page)

    site.gateway.kill()
    state = page.get_by_role("banner").get_by_role("status")
    expect(state).to_have_text(re.compile("Reconnecting|Offline"))
    site.hold(wallet, usdc, "250")
    site.read(user)
    expect(state).to_have_text("Offline")
    expect(page.get_by_text(re.compile(r"The server can't be reached\. This is what was known .* ago"))).to_be_visible()
    expect(row(page, "USDC", "Base")).to_contain_text("100")
    site.gateway.restart()

    expect(row(page, "USDC", "Base")).to_contain_text("250")
    expect(state).to_have_text("Live")
    expect(page.get_by_text("The server can't be reached")).to_be_hidden()


def test_a_session_that_is_over_is_said_with_the_way_to_a_new_one(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    page = visits.open(site.link(user, seconds=15))
    expect(page.get_by_role("treegrid", name="Tokens")).to_be_visible()

    expect(page.get_by_text("Your session ended, so this is no longer kept up to date.")).to_be_visible()
    expect(page.get_by_text("Open it again from where you signed in")).to_be_visible()
    expect(page.get_by_role("treegrid", name="Tokens")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Your session ended")).to_be_visible()
    expect(page.get_by_text("Open it again from where you signed in")).to_be_visible()
