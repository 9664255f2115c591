"""Token logos, fetched once and served from here, so the page contacts no other host.

Only URLs that a provider gave for a known token are fetched, only from hosts that the operator named, and only
raster images of a moderate size are passed on: an SVG may contain a script.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cachetools import TLRUCache
from sqlalchemy import Engine

from moonx_pipeline.gateway.fetching import FETCH_ERRORS, fetch
from moonx_pipeline.gateway.pictures import picture_of
from moonx_pipeline.storage.tokens.token_store import logo_url_of

_LARGEST: Final = 256 * 1024  # bytes
_WIDEST: Final = 1024  # pixels
_KEPT_BYTES: Final = 32 * 1024 * 1024
_KEPT_SECONDS: Final = 24 * 3600.0
_AWAY_SECONDS: Final = 300.0
"""How long a host that did not answer is not asked for the same logo again."""

_FETCH_SECONDS: Final = 3.0
_AT_ONCE: Final = 16
"""The most concurrent fetches, each in a thread of its own: hosts that hang take none of the API's."""


class Logo(NamedTuple):
    """An image; without bytes if there is none."""

    media_type: str
    content: bytes


NO_LOGO: Final = Logo("", b"")


class _Found(NamedTuple):
    """What is known of a logo, and for how many seconds."""

    logo: Logo
    seconds: float


class Logos:
    """Fetches and keeps logos. Used in one event loop."""

    def __init__(self, engine: Engine, hosts: tuple[str, ...]) -> None:
        """Fetches nothing yet.

        Args:
            engine: The pipeline's database, which knows the URLs.
            hosts: Hosts that may be asked, with the port where it is not the usual one.
        """
        self._engine = engine
        self._hosts = frozenset(hosts)
        self._kept: TLRUCache[tuple[int, str], _Found] = TLRUCache(
            _KEPT_BYTES,
            ttu=lambda _key, found, now: now + found.seconds,
            getsizeof=lambda found: len(found.logo.content) + 200,
        )
        self._fetches: dict[tuple[int, str], asyncio.Future[_Found]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="logo")

    def kept(self, chain_id: int, token: str) -> Logo | None:
        """The logo of a token as far as it is known here, ``NO_LOGO`` included."""
        found = self._kept.get((chain_id, token))
        return found.logo if found else None

    async def get(self, chain_id: int, token: str) -> Logo:
        """The logo of a token, or ``NO_LOGO``, also while too many others are being fetched.

        Args:
            chain_id: A known chain.
            token: Address in lower case.

        Raises:
            DBAPIError: The database is away.
        """
        key = (chain_id, token)
        if (kept := self.kept(chain_id, token)) is not None:
            return kept
        fetching = self._fetches.get(key)
        if fetching is None:
            if len(self._fetches) >= _AT_ONCE:
                return NO_LOGO  # not kept: the next request may succeed
            fetching = asyncio.get_running_loop().run_in_executor(self._threads, self._find, chain_id, token)
            self._fetches[key] = fetching
            fetching.add_done_callback(lambda done: self._keep(key, done))
        # All who want this logo wait for the one fetch; who goes away does not end it for the others.
        return (await asyncio.shield(fetching)).logo

    def stop(self) -> None:
        """Begins no further fetches; those under way end by their deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _keep(self, key: tuple[int, str], done: asyncio.Future[_Found]) -> None:
        del self._fetches[key]
        if not done.cancelled() and done.exception() is None:
            self._kept[key] = done.result()

    def _find(self, chain_id: int, token: str) -> _Found:
        with self._engine.connect() as connection:
            url = logo_url_of(connection, chain_id, token)
        parts = urlsplit(url or "")
        if url is None or parts.scheme not in ("http", "https") or parts.netloc not in self._hosts:
            return _Found(NO_LOGO, _KEPT_SECONDS)
        try:
            answer = fetch(url, seconds=_FETCH_SECONDS, most_bytes=_LARGEST)
        except FETCH_ERRORS:
            return _Found(NO_LOGO, _AWAY_SECONDS)
        return _Found(_checked(answer.body) if answer.status == 200 else NO_LOGO, _KEPT_SECONDS)


def _checked(content: bytes) -> Logo:
    picture = picture_of(content)
    if picture is None or len(content) > _LARGEST or max(picture.width, picture.height) > _WIDEST:
        return NO_LOGO
    return Logo(picture.media_type, content)
