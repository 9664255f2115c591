"""Why a price is what it is, and why a position is not in the total: read where a row is opened, and said in words."""

from __future__ import annotations

import re
from typing import Final

import pytest
from playwright.sync_api import Locator, Page, expect

from moonx_pipeline.domain.flags import (
    BALANCE_UNKNOWN,
    NOT_COUNTED_REASONS,
    OLD_PRICE,
    SOURCES_DISAGREE,
    USDT_AT_PAR,
)
from moonx_pipeline.domain.quotes import PriceSource
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.dagster import ROOT
from moonx_pipeline_tests.page.look import row, until_live
from moonx_pipeline_tests.page.site import Site
from moonx_pipeline_tests.page.states import State
from moonx_pipeline_tests.page.visits import Visits
from moonx_pipeline_tests.support.accessibility import THEMES, problems_for_some

STATE: Final = "low-liquidity-and-unread"
WORDS: Final = ROOT / "web" / "src" / "strings" / "tokenLabels.ts"


@pytest.fixture
def page(built_page: None, visits: Visits) -> Page:
    page = State(STATE).open(visits, visits.browser())
    expect(page.get_by_role("treegrid", name="Tokens")).to_be_visible()
    return page


def evidence(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


def test_who_said_what_is_asked_for_when_a_row_is_opened_and_not_before(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/explain" in request.url else None)
    expect(row(page, "VELO", "Optimism")).to_be_visible()
    assert asked == []

    row(page, "VELO", "Optimism").click()

    said = evidence(page, "Why this price?").get_by_role("listitem")
    expect(said).to_have_text(
        [
            re.compile(r"DexScreener\$0\.08821\d\d:\d\dUsed: another source agrees"),
            re.compile(r"DefiLlama\$0\.0882\d*<0\.1%\d\d:\d\dAgrees"),
            re.compile(r"CoinGecko.\d\d:\d\dHas no price"),
            re.compile(r"Alchemy.\d\d:\d\dHas no price"),
            "Not asked: Binance",
        ]
    )
    expect(evidence(page, "Why this price?")).to_contain_text("$48,210.77 of well-known tokens")
    expect(evidence(page, "Why this price?")).to_contain_text("Alchemy, block 143,200,450")
    assert len(asked) == 1
    assert "chainId=10&tokenAddress=0x9560e827af36c94d2ac33a39bce1fe78631088db" in asked[0]


def test_what_is_hard_to_sell_has_its_value_outside_of_the_total_and_says_why(page: Page) -> None:
    group = page.get_by_role("row", name=re.compile(r"^Hard to sell 2 · not in the total"))
    expect(group).to_be_visible()
    thin = row(page, "ORBX", "Base")
    expect(thin).to_contain_text("$23,425.00not counted")

    thin.click()

    expect(page.get_by_role("treegrid")).to_contain_text("So little is traded that selling it would hardly bring")
    expect(evidence(page, "Why this price?")).to_contain_text("Shown only: too little is traded at it")
    expect(evidence(page, "Why this price?")).to_contain_text("Only $212.40 of well-known tokens")


def test_what_could_not_be_read_is_said_under_the_number_with_its_why(page: Page) -> None:
    page.get_by_role("button", name="2 tokens could not be read").click()

    why = page.get_by_role("region", name="Not in the number above, and not in the list below")
    expect(why).to_contain_text("How much of them you hold is not known")


def test_a_row_of_which_nothing_was_kept_says_so(page: Page) -> None:
    page.get_by_role("row", name=re.compile("0x3d07")).click()

    expect(evidence(page, "Why has it no price?")).to_contain_text("was not kept. The next sync keeps it.")


def test_what_a_sync_has_kept_is_what_a_row_shows(site: Site, visits: Visits) -> None:
    user, _ = site.member(PLAIN_WALLET)
    page = visits.open(site.link(user))
    until_live(page)

    row(page, "USDC", "Ethereum").click()

    why = evidence(page, "Why this price?")
    expect(why.get_by_role("listitem").first).to_contain_text(re.compile(r"^(Binance|CoinGecko)\$.*Used: "))
    expect(why).to_contain_text("name this contract")
    expect(why).to_contain_text("Alchemy")


@pytest.mark.parametrize("theme", THEMES)
def test_an_opened_row_keeps_nobody_from_using_it(built_page: None, visits: Visits, theme: str) -> None:
    page = State(STATE).open(visits, visits.browser(color_scheme=theme))
    row(page, "ORBX", "Base").click()
    expect(evidence(page, "Why this price?").get_by_role("listitem").first).to_be_visible()

    assert problems_for_some(page) == []


def test_the_page_has_words_for_each_code_that_the_api_sends() -> None:
    has_words = set(re.findall(r"^  (\w+):", WORDS.read_text(), re.MULTILINE))
    notes = {SOURCES_DISAGREE, USDT_AT_PAR, OLD_PRICE, BALANCE_UNKNOWN}

    assert {*NOT_COUNTED_REASONS, *notes, *(source.value for source in PriceSource)} - has_words == set()
