"""Signing in by a link: once, without the token in any address, and never in somebody's place without asking."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from moonx_pipeline_tests.fixtures.gateway import token_of
from moonx_pipeline_tests.page.look import until_live
from moonx_pipeline_tests.page.site import Site
from moonx_pipeline_tests.page.visits import Visits
from moonx_pipeline_tests.support.accessibility import THEMES, problems_for_some


def account(page: Page, user: str) -> Locator:
    return page.get_by_role("button", name=f"Account of {user}")


def addresses(page: Page) -> list[str]:
    """What the browser's history keeps of the page."""
    session = page.context.new_cdp_session(page)
    return [entry["url"] for entry in session.send("Page.getNavigationHistory")["entries"]]


def test_a_link_signs_in_and_leaves_no_code_in_the_address(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    sent: list[str] = []
    browser = visits.browser()
    browser.on("request", lambda request: sent.append(request.url))

    page = visits.follow(browser, site.link(user))

    until_live(page)
    expect(account(page, user)).to_be_visible()
    assert page.url == f"{site.url}/"
    assert [url for url in [*addresses(page), *sent] if "code=" in url] == []
    page.reload()
    until_live(page)


def test_a_link_that_is_used_says_so_and_how_to_get_another(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    link = site.link(user)
    until_live(visits.open(link))

    late = visits.open(link)

    expect(late.get_by_role("heading", name="This link does not sign you in")).to_be_visible()
    expect(late.get_by_text("'moonx token USER --link' prints a new one.")).to_be_visible()
    assert late.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]


def test_a_used_link_in_a_tab_with_a_session_leads_back_to_it(site: Site, visits: Visits) -> None:
    user, _ = site.member()
    link = site.link(user)
    page = visits.open(link)
    until_live(page)

    page.goto(link)
    page.get_by_role("button", name=f"Go on as {user}").click()

    until_live(page)


@pytest.mark.parametrize("is_signed_in", [False, True], ids=["stranger", "signed-in"])
def test_a_link_with_a_token_signs_nobody_in_and_says_what_to_ask_for(
    site: Site, visits: Visits, *, is_signed_in: bool
) -> None:
    ann, bob = site.stranger(), site.stranger()
    browser = visits.browser()
    page = visits.follow(browser, site.link(ann) if is_signed_in else f"{site.url}/")
    if is_signed_in:
        expect(account(page, ann)).to_be_visible()

    page.goto(f"{site.url}/#token={token_of(bob)}")

    expect(page.get_by_role("heading", name="This link does not sign you in")).to_be_visible()
    expect(page.get_by_text("This link holds a token, which the browser keeps.")).to_be_visible()
    assert page.url == f"{site.url}/"
    assert bob not in str(page.evaluate("JSON.stringify([localStorage, sessionStorage])"))
    if is_signed_in:
        page.get_by_role("button", name=f"Go on as {ann}").click()
        expect(account(page, ann)).to_be_visible()
    else:
        assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]


@pytest.mark.parametrize("is_new_tab", [False, True], ids=["same-tab", "new-tab"])
def test_a_link_of_another_user_asks_first_and_staying_changes_nothing(
    site: Site, visits: Visits, *, is_new_tab: bool
) -> None:
    (ann, _), (bob, _) = site.member(), site.member()
    browser = visits.browser()
    page = visits.follow(browser, site.link(ann))
    until_live(page)

    other = visits.follow(browser, site.link(bob)) if is_new_tab else page
    if not is_new_tab:
        page.goto(site.link(bob))

    expect(other.get_by_role("heading", name=f"Sign in as {bob}?")).to_be_visible()
    expect(other.get_by_text(f"{ann} signed in to this browser last")).to_be_visible()
    expect(account(other, bob)).to_be_hidden()
    other.get_by_role("button", name=f"Stay {ann}").click()
    if is_new_tab:
        # The session is the other tab's own.
        expect(other.get_by_role("heading", name="Your session ended")).to_be_visible()
    else:
        until_live(page)
        expect(account(page, ann)).to_be_visible()
    page.reload()
    expect(account(page, ann)).to_be_visible()


@pytest.mark.parametrize("ends", ["the tab is closed", "the session has ended"])
def test_a_link_of_another_user_asks_where_no_session_is_open(site: Site, visits: Visits, ends: str) -> None:
    ann, bob = site.stranger(), site.stranger()
    browser = visits.browser()
    page = visits.follow(browser, site.link(ann, seconds=600 if ends == "the tab is closed" else 5))
    expect(account(page, ann)).to_be_visible()
    if ends == "the tab is closed":
        page.close()
    else:
        expect(page.get_by_role("banner").get_by_role("status")).to_have_text("Session ended", timeout=15_000)

    other = visits.follow(browser, site.link(bob))

    expect(other.get_by_role("heading", name=f"Sign in as {bob}?")).to_be_visible()
    expect(other.get_by_text(f"{ann} signed in to this browser last")).to_be_visible()
    other.get_by_role("button", name=f"Stay {ann}").click()
    expect(other.get_by_role("heading", name="Your session ended")).to_be_visible()
    assert other.evaluate("[sessionStorage.length, localStorage.getItem('moonx.user')]") == [0, ann]


def test_a_link_of_another_user_signs_in_where_one_agrees(site: Site, visits: Visits) -> None:
    (ann, _), (bob, _) = site.member(), site.member()
    page = visits.open(site.link(ann))
    until_live(page)

    page.goto(site.link(bob))
    page.get_by_role("button", name=f"Sign in as {bob}").click()

    until_live(page)
    expect(account(page, bob)).to_be_visible()
    assert ann not in str(page.evaluate("JSON.stringify([localStorage, sessionStorage])"))


def test_who_signed_out_is_not_asked_about(site: Site, visits: Visits) -> None:
    (ann, _), (bob, _) = site.member(), site.member()
    page = visits.open(site.link(ann))
    until_live(page)
    account(page, ann).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Your session ended")).to_be_visible()

    page.goto(site.link(bob))

    until_live(page)
    expect(account(page, bob)).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_the_question_keeps_nobody_from_answering_it(site: Site, visits: Visits, theme: str) -> None:
    ann, bob = site.stranger(), site.stranger()
    browser = visits.browser(color_scheme=theme)
    expect(account(visits.follow(browser, site.link(ann)), ann)).to_be_visible()

    page = visits.follow(browser, site.link(bob))

    expect(page.get_by_role("heading", name=f"Sign in as {bob}?")).to_be_visible()
    assert problems_for_some(page) == []
