"""People's browsers, watched: what the page asks of whom, and what it complains of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

_OWN_SCHEMES: Final = ("blob", "data")
# The browser tells of every answer that is no success, also of those that a test causes.
_ANSWERS: Final = ("Failed to load resource: ", "WebSocket connection to ")


class Visits:
    """The browsers that a test opens, each a person's own.

    Attributes:
        strange: Requests to other hosts, errors of scripts, violations of the content security policy.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.strange: list[str] = []

    def browser(self, **options: Any) -> BrowserContext:
        """A browser that nobody has used yet."""
        usual = {"viewport": {"width": 1280, "height": 2400}, "locale": "en-GB", "timezone_id": "UTC"}
        context = self._browser.new_context(**{**usual, **options})
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.strange.append(str(error.error)))
        self._contexts.append(context)
        return context

    def open(self, link: str, **options: Any) -> Page:
        """The page behind a link, in a browser of its own."""
        return self.follow(self.browser(**options), link)

    def follow(self, context: BrowserContext, link: str) -> Page:
        """The page behind a link, in a browser that may have been used before."""
        page = self.watched_page(context, urlsplit(link).netloc)
        page.goto(link)
        return page

    def watched_page(self, context: BrowserContext, host: str) -> Page:
        """An empty page that may ask one host only."""
        page = context.new_page()
        page.on("request", lambda request: self._see(request.url, host))
        page.on("websocket", lambda socket: self._see(socket.url, host))
        return page

    def _see(self, url: str, host: str) -> None:
        address = urlsplit(url)
        if address.scheme not in _OWN_SCHEMES and address.netloc != host:
            self.strange.append(f"asked {url}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_ANSWERS):
            self.strange.append(message.text)

    def keep_pictures(self, folder: Path) -> None:
        """Saves what each page shows, and says where."""
        pages = [page for context in self._contexts for page in context.pages]
        for number, page in enumerate(pages, 1):
            picture = folder / f"page-{number}.png"
            page.screenshot(path=picture)
            print(f"{page.url}: {picture}")  # noqa: T201 - for whoever reads of the failure

    def close(self) -> None:
        for context in self._contexts:
            context.close()
