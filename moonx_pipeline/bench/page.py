"""A user's wait from the click on the button until the page shows the change."""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import jwt
import requests

from moonx_pipeline.bench.crowd import Crowd
from moonx_pipeline.bench.figures import Add
from moonx_pipeline.bench.setting import await_gateway
from moonx_pipeline.bench.workers import whole_system
from moonx_pipeline.gateway.page import STATIC
from moonx_pipeline.simulator.server import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM_OPTIONS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Options that keep Chromium from contacting any other host."""

_USER: Final = "user1"
_CLICKS: Final = 25
_WARM: Final = 3
# Clicks and waits inside the page, so that the driver's overhead does not count. Times are Unix time in ms.
_CLICK: Final = """wanted => new Promise((resolve, reject) => {
    const now = () => performance.timeOrigin + performance.now();
    const table = document.querySelector('[role=treegrid]');
    const button = [...document.querySelectorAll('button')].find(({ textContent }) => textContent === 'Sync now');
    performance.clearResourceTimings();
    const observer = new MutationObserver(() => {
        if (!table.textContent.includes(wanted)) return;
        const shown = now();
        observer.disconnect();
        clearTimeout(timer);
        const request = performance.getEntriesByType('resource').find(({ name }) => name.endsWith('/sync/trigger'));
        resolve([clicked, performance.timeOrigin + request.responseEnd, shown]);
    });
    const timer = setTimeout(() => reject(new Error(`${wanted} did not come.`)), 60000);
    observer.observe(table, { subtree: true, childList: true, characterData: true });
    const clicked = now();
    button.click();
})"""
_LAST_SYNC: Final = """SELECT extract(epoch FROM started_at) * 1000, extract(epoch FROM completed_at) * 1000
FROM sync_operations WHERE user_id = %s ORDER BY fence DESC LIMIT 1"""


class Click(NamedTuple):
    """When each step of one click ended, in ms of Unix time."""

    clicked: float
    accepted: float
    started: float
    completed: float
    shown: float


def clicks(add: Add, many: Crowd) -> None:
    """Clicks on the page of the system as 'make up' starts it; each changes the price of a holding."""
    if missing := _missing():
        raise SystemExit(missing)
    many.grow_to(max(many.users, 1))
    with _page() as page:
        made = [_click(many, page, number) for number in range(_WARM + _CLICKS)][_WARM:]
    whole = [click.shown - click.clicked for click in made]
    add("click_to_page_p50_ms", statistics.median(whole), "ms", "<= 1200")
    add("click_to_page_p95_ms", statistics.quantiles(whole, n=20)[18], "ms", "<= 2500")
    for name, parts in {
        "click_request_ms": [click.accepted - click.clicked for click in made],
        "click_launch_ms": [click.started - click.accepted for click in made],
        "click_sync_ms": [click.completed - click.started for click in made],
        "click_deliver_ms": [click.shown - click.completed for click in made],
    }.items():
        add(name, statistics.median(parts), "ms", "")


def _missing() -> str | None:
    """What this benchmark needs and lacks."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed; 'make install' does it."
    if shutil.which("chromium") is None:
        return "Chromium is not on this machine."
    return None if (STATIC / "index.html").is_file() else "the page is not built; 'make web' does it."


@contextmanager
def _page() -> Iterator[Page]:
    """The page of a user with a stored portfolio, in the whole system."""
    from playwright.sync_api import sync_playwright

    secret, port = secrets.token_urlsafe(48), free_port()
    token = jwt.encode({"sub": _USER, "exp": datetime.now(UTC) + timedelta(hours=1)}, secret)
    settings = {"GATEWAY_PORT": str(port), "JWT_SECRET": secret, "WORKER_RATE_LIMIT_MAX": "1000"}
    with whole_system(**settings), sync_playwright() as playwright:
        await_gateway(port)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
        # High enough for the whole table to be rendered.
        page = browser.new_page(viewport={"width": 1280, "height": 3000})
        page.goto(f"http://127.0.0.1:{port}/#code={_code(port, token)}")
        page.get_by_role("treegrid").wait_for(timeout=60_000)
        page.get_by_text("Live", exact=True).wait_for()
        yield page
        browser.close()


def _code(port: int, token: str) -> str:
    """What signs the page in once."""
    url, headers = f"http://127.0.0.1:{port}/api/v1/session/codes", {"Authorization": f"Bearer {token}"}
    answer = requests.post(url, headers=headers, timeout=5)
    answer.raise_for_status()
    return str(answer.json()["data"]["code"])


def _click(many: Crowd, page: Page, number: int) -> Click:
    price = 2501 + number
    many.simulator.change("world", prices={"ETH": str(price)})
    many.age_prices()
    page.get_by_role("button", name="Sync now").wait_for()
    clicked, accepted, shown = page.evaluate(_CLICK, f"${price:,}.00")
    with many.engine.connect() as connection:
        started, completed = connection.exec_driver_sql(_LAST_SYNC, (_USER,)).one()
    return Click(clicked, accepted, float(started), float(completed), shown)
