"""The line that says what happened, the table narrowed to what is not counted, and logos that belong to contracts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from moonx_pipeline_tests.page.look import row
from moonx_pipeline_tests.page.states import State
from moonx_pipeline_tests.page.visits import Visits
from moonx_pipeline_tests.support.accessibility import THEMES, problems_for_some

pytestmark = pytest.mark.usefixtures("built_page")


def opened(visits: Visits, state: str, **options: str) -> Page:
    page = State(state).open(visits, visits.browser(**options))
    expect(page.get_by_role("treegrid", name="Tokens")).to_be_visible()
    return page


def test_a_reading_is_read_by_key_with_its_time_its_day_before_and_what_happened(visits: Visits) -> None:
    page = opened(visits, "fresh")
    chart = page.get_by_role("region", name="Value over time")
    line = chart.get_by_role("slider", name="Readings")
    expect(chart).to_contain_text(re.compile("a wallet was added.*a chain did not answer"))

    line.focus()
    page.keyboard.press("End")
    expect(line).to_have_attribute("aria-valuetext", re.compile(r"^\$71,327\.94, \S+% in 24 h, \d\d:\d\d, "))
    said = {str(line.get_attribute("aria-valuetext"))}
    for _ in range(int(str(line.get_attribute("aria-valuemax")))):
        page.keyboard.press("ArrowLeft")
        said.add(str(line.get_attribute("aria-valuetext")))

    assert any("wallet 0x8617…070d added" in text for text in said)
    assert any("Polygon did not answer from here on" in text for text in said)


def test_a_day_is_drawn_over_the_day_before_it(visits: Visits) -> None:
    page = opened(visits, "fresh")
    chart = page.get_by_role("region", name="Value over time")
    expect(chart).not_to_contain_text("the day before")

    chart.get_by_role("radio", name="1 d").check()

    expect(chart).to_contain_text("the day before")


@pytest.mark.parametrize("theme", THEMES)
def test_the_first_day_has_its_chart_and_keeps_nobody_from_reading_it(visits: Visits, theme: str) -> None:
    page = opened(visits, "first-day", color_scheme=theme)
    expect(page.get_by_role("radio", name="1 d")).to_be_checked()
    expect(page.get_by_text("24 h, by prices")).to_be_visible()

    assert problems_for_some(page) == []


def test_the_table_is_narrowed_to_what_one_reason_keeps_out_of_the_total(visits: Visits) -> None:
    page = opened(visits, "low-liquidity-and-unread")
    expect(page.get_by_role("row", name=re.compile("^Could not be read 2 · how much"))).to_be_attached()

    page.get_by_label("In the total or not").select_option(label="Hard to sell (2)")

    expect(row(page, "ORBX", "Base")).to_be_visible()
    expect(page.get_by_role("treegrid").locator("[data-key]")).to_have_count(3)
    expect(page.get_by_text("2 tokens", exact=True)).to_be_visible()


def test_a_contract_has_its_coins_logo_and_a_namesake_has_not(visits: Visits) -> None:
    page = opened(visits, "fresh")
    expect(row(page, "USDC", "Base").locator("img")).to_have_attribute("src", re.compile(r"^/assets/logos/usd-coin\."))

    page.get_by_role("row", name=re.compile("^Hidden")).click()
    page.get_by_label("Search tokens").fill("USD")

    fakes = page.get_by_role("row").filter(has_text="it poses as a well-known token")
    expect(fakes.first).to_be_visible()
    expect(fakes.locator("img")).to_have_count(0)
