"""Whatever is done to it, the page shows a person his own portfolio and runs nothing but its own script."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from moonx_pipeline.simulator.tokens import SimToken, derived_address
from moonx_pipeline_tests.page.look import panel, row, sync_button, total, until_live
from moonx_pipeline_tests.page.site import BASE, ETHEREUM, Site, sim_token
from moonx_pipeline_tests.page.visits import Visits

MARKUP = SimToken(
    ETHEREUM,
    derived_address("markup"),
    symbol="<img src=x onerror=window.__hacked=1>",
    name="<script>window.__hacked=1</script>",
    decimals=18,
)
REVERSED = SimToken(
    ETHEREUM,
    derived_address("reversed"),
    symbol="\u202eCDSU",
    name="\u202e<b onclick=window.__hacked=1>nioC DSU\x1b[2J",
    decimals=6,
)


def heard_by(page: Page) -> list[str]:
    """What the server tells a page from its next load on."""
    heard: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    return heard


def test_two_people_see_and_hear_each_their_own(site: Site, visits: Visits) -> None:
    usdc = sim_token(BASE, "USDC")
    (ann, hers), (bob, his) = site.member(), site.member()
    for wallet in (hers, his):
        site.hold(wallet, usdc, "100")
    site.read(ann)
    site.read(bob)
    pages = [visits.open(site.link(user)) for user in (ann, bob)]
    heard = [heard_by(page) for page in pages]
    for page in pages:
        page.reload()
        until_live(page)

    site.hold(hers, usdc, "111")
    site.read(ann)
    expect(row(pages[0], "USDC", "Base")).to_contain_text("111")
    expect(row(pages[1], "USDC", "Base")).to_contain_text("100")
    site.hold(his, usdc, "222")
    site.read(bob)
    expect(row(pages[1], "USDC", "Base")).to_contain_text("222")
    expect(row(pages[0], "USDC", "Base")).to_contain_text("111")

    assert any(hers in frame for frame in heard[0])
    assert any(his in frame for frame in heard[1])
    assert not any(his in frame for frame in heard[0])
    assert not any(hers in frame for frame in heard[1])


def test_what_a_browser_has_kept_of_one_person_is_not_shown_to_the_next(site: Site, visits: Visits) -> None:
    (ann, _), (bob, _) = site.member(), site.member()
    browser = visits.browser()
    page = visits.follow(browser, site.link(ann))
    until_live(page)
    her_total = total(page).inner_text()

    # Pasted over her page, in the same tab.
    page.goto(site.link(bob))
    page.get_by_role("button", name=f"Sign in as {bob}").click()
    until_live(page)
    expect(total(page)).not_to_have_text(her_total)
    expect(page.get_by_role("button", name=f"Account of {bob}")).to_be_visible()

    # And where his own can't be read, there is nothing rather than hers.
    page.goto(site.link(ann))
    page.get_by_role("button", name=f"Sign in as {ann}").click()
    expect(total(page)).to_have_text(her_total)
    browser.route("**/api/v1/portfolio**", lambda route: route.abort())
    other = visits.follow(browser, site.link(bob))
    other.get_by_role("button", name=f"Sign in as {bob}").click()
    expect(other.get_by_role("heading", name="The server can't be reached")).to_be_visible()
    assert her_total not in other.inner_text("body")
    assert ann not in str(other.evaluate("JSON.stringify(localStorage)"))


def test_names_that_attack_are_text_and_nothing_of_them_runs(site: Site, visits: Visits) -> None:
    user, wallet = site.member()
    page = visits.open(site.link(user))
    until_live(page)

    site.hold(wallet, MARKUP, "7")
    site.hold(wallet, REVERSED, "5")
    sync_button(page).click()

    expect(panel(page)).to_contain_text("+ 7 <img src=x onerror=")
    shown = row(page, "<img src=x onerror=", "Ethereum")
    expect(shown).to_contain_text("<script>window.__hacked=1</script>")
    shown.click()
    expect(page.get_by_role("treegrid").get_by_text("<script>window.__hacked=1</script>", exact=True)).to_have_count(2)
    page.get_by_role("row", name="Hidden").click()
    hidden = page.get_by_role("row").filter(has_text="CDSU")
    expect(hidden).to_be_visible()

    text = page.inner_text("body")
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert page.evaluate("window.__hacked") is None
    assert page.locator("main img[src=x], main script, main b[onclick]").count() == 0
