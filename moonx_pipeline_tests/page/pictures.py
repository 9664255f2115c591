"""``python -m moonx_pipeline_tests.page.pictures``: takes the README's pictures from a system of its own."""

from __future__ import annotations

import random
import shutil
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import create_engine, make_url

from moonx_pipeline.bench.page import CHROMIUM_OPTIONS
from moonx_pipeline.simulator.server import running_simulator
from moonx_pipeline.simulator.tokens import spam_token
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline_tests.fixtures.dagster import ROOT
from moonx_pipeline_tests.fixtures.database import running_postgres
from moonx_pipeline_tests.page.look import panel, sync_button, until_live
from moonx_pipeline_tests.page.site import BASE, POLYGON, Site, running_site, sim_token
from moonx_pipeline_tests.support.syncs import portfolio, register

FOLDER: Final = ROOT / "docs" / "images"
USER: Final = "ada"
WALLETS: Final = (PLAIN_WALLET, POLYGON_WALLET)
DAYS: Final = 30
AWAY: Final = (timedelta(days=17), timedelta(days=14, hours=6))
"""Between them nothing was read."""

# The made-up Binance tells of no change over a day.
_DAY_CHANGES: Final = """
CREATE FUNCTION market_of_pictures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change_24h := ('{"ETH": 1.84, "WETH": 1.84, "POL": -2.31, "LINK": 3.07, "UNI": -0.92, "ARB": -1.15, "OP": 0.46,
        "USDC": 0.01, "USDT": 0, "NIMB": 6.4, "MESA": -0.38}'::jsonb ->> NEW.token_symbol)::numeric;
    RETURN NEW;
END $$;
CREATE TRIGGER market_of_pictures BEFORE INSERT OR UPDATE ON user_token_holdings
    FOR EACH ROW EXECUTE FUNCTION market_of_pictures();
"""
_JOINED: Final = "UPDATE user_wallets SET created_at = now() - %s WHERE wallet_address = %s"
_READING: Final = """
INSERT INTO sync_operations (id, user_id, status, trigger, started_at, completed_at, duration_ms, tokens_synced,
                             chains_synced, total_value_usd, provider_calls, compute_units, portfolio_version)
VALUES (%s, %s, 'completed', 'schedule', %s, %s, %s, 18, 5, %s, 3, 360, 1)
"""


def main() -> None:
    """Takes all pictures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres() as server,
        running_simulator() as simulator,
        running_site(server, simulator, Path(folder), daemon=True) as site,
        sync_playwright() as playwright,
    ):
        _furnish(site, server)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
        _take(_portfolio(browser, site, "light"), "page-light")
        _take(_portfolio(browser, site, "light", width=390, height=844, scale=1.5), "page-phone")
        _lose_polygon(site)
        site.hold(PLAIN_WALLET, sim_token(BASE, "USDC"), "992.5")
        page = _portfolio(browser, site, "dark")
        sync_button(page).click()
        expect(panel(page)).to_contain_text("+ 12.5 USDC on Base", timeout=60_000)
        _take(page, "page-dark")
        for _ in range(site.system.settings.worker.breaker_threshold):
            site.read(USER)
        operators = _open(browser, site.link(USER, "/admin", role="admin"), "light", height=1300)
        expect(operators.get_by_role("heading", name="Days (UTC)")).to_be_visible()
        _take(operators, "page-admin")


def _furnish(site: Site, server: str) -> None:
    """A user with a month behind him."""
    # Only the owner of the tables may add to them.
    owner = create_engine(make_url(server).set(database=site.system.engine.url.database))
    with owner.begin() as connection:
        connection.exec_driver_sql(_DAY_CHANGES)
    for number in (0, 2, 3, 7):
        site.hold(PLAIN_WALLET, spam_token(number), "1000")
    register(site.system.engine, USER, *WALLETS)
    with owner.begin() as connection:
        for wallet, days in zip(WALLETS, (DAYS, 10), strict=True):
            connection.exec_driver_sql(_JOINED, (timedelta(days=days), wallet))
    owner.dispose()
    site.read(USER)
    total, now = portfolio(site.system.engine, USER).totals.value_usd, datetime.now(UTC)
    walk = random.Random(26)  # noqa: S311 - a made-up market
    ages = [timedelta(hours=hours) for hours in range(1, DAYS * 24)]
    with site.system.engine.begin() as connection:
        worth = Decimal(1)
        for age in ages:
            worth *= 1 - Decimal(walk.randint(-58, 62)) / 10_000
            if AWAY[1] < age < AWAY[0]:
                continue
            began = now - age
            took = walk.randint(640, 1_400)
            values = (uuid.uuid4(), USER, began, began + timedelta(milliseconds=took), took, total * worth)
            connection.exec_driver_sql(_READING, values)


def _lose_polygon(site: Site) -> None:
    """Polygon has not answered for a while, and still does not."""
    with site.system.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_chain_status SET last_success_at = last_success_at - interval '52 minutes' "
            "WHERE user_id = %s AND chain_id = %s",
            (USER, POLYGON),
        )
    for wallet in WALLETS:
        site.take_polygon_down(wallet)


def _portfolio(browser: Browser, site: Site, theme: str, **look: float) -> Page:
    page = _open(browser, site.link(USER), theme, **look)
    until_live(page)
    return page


def _open(browser: Browser, link: str, theme: str, *, width: int = 1280, height: int = 1080, scale: float = 1) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-GB",
        reduced_motion="reduce",
        is_mobile=width < 600,
    )
    page.goto(link)
    return page


def _take(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled", caret="hide")
    page.close()


if __name__ == "__main__":
    main()
