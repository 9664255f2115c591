"""The operators' view, and who does not get it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from moonx_pipeline_tests.page.look import panel, sync_button, until_live
from moonx_pipeline_tests.page.site import Site
from moonx_pipeline_tests.page.visits import Visits


def test_an_operator_sees_the_parts_and_closes_a_breaker(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    site.take_polygon_down(wallet)
    for _ in range(site.system.settings.worker.breaker_threshold):
        site.read(user)

    page = visits.open(site.link("operator", "/admin", role="admin"))

    parts = page.get_by_role("region", name="Parts")
    for part in ("database", "events", "workers", "dagster"):
        expect(parts.get_by_role("row", name=re.compile(rf"^{part} up "))).to_be_visible()
    expect(parts.get_by_role("row", name=re.compile("^daemon "))).to_contain_text("Dagster's daemon does not beat")
    breaker = page.get_by_role("region", name="Circuit breakers").get_by_role("row").filter(has_text="alchemy:137")
    expect(breaker).to_contain_text("open")
    breaker.get_by_role("button", name="Reset alchemy:137").click()
    expect(breaker).to_contain_text("closed")
    expect(breaker.get_by_role("button")).to_have_count(0)


def test_an_operator_pauses_all_syncs_with_a_reason_that_users_see(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    operators = visits.open(site.link("operator", "/admin", role="admin"))

    operators.get_by_role("button", name="Pause all syncs").click()
    expect(operators.get_by_role("alert")).to_have_text("Say why, for the operators who find syncs paused.")
    operators.get_by_label("Reason").fill("The database moves.")
    operators.get_by_role("button", name="Pause all syncs").click()
    expect(operators.get_by_text(re.compile(r"Paused since .* by operator: The database moves\."))).to_be_visible()

    page = visits.open(site.link(user))
    until_live(page)
    expect(panel(page)).to_contain_text(re.compile(r"All syncs are paused since \d\d:\d\d: The database moves\."))
    expect(sync_button(page)).to_have_attribute("aria-disabled", "true")

    operators.get_by_role("button", name="Resume all syncs").click()
    expect(operators.get_by_role("button", name="Pause all syncs")).to_be_visible()
    page.reload()
    sync_button(page).click()
    expect(panel(page)).to_contain_text("4 of 5 syncs left")


def test_who_is_no_operator_is_refused_in_plain_words(site: Site, visits: Visits) -> None:
    user, _ = site.member()

    page = visits.open(site.link(user, "/admin"))

    expect(page.get_by_text("This view is for operators. Your account is not one of them.")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)
