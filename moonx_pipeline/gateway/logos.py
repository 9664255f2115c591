"""Token logos, fetched once and served from here, so the page contacts no other host.

Only URLs that a provider gave for a known token are fetched, only from hosts that the operator named, and only
raster images are passed on: an SVG may contain a script.
"""

from __future__ import annotations

import threading
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import requests
from cachetools import TTLCache
from sqlalchemy import Engine

from moonx_pipeline.storage.tokens.token_store import logo_url_of

_LARGEST: Final = 256 * 1024
_KEPT_BYTES: Final = 32 * 1024 * 1024
_KEPT_SECONDS: Final = 24 * 3600
_TIMEOUT: Final = (2.0, 3.0)
_AT_ONCE: Final = 8
"""The most concurrent fetches: a host that hangs must not take the API's threads."""

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Logo(NamedTuple):
    """An image; without bytes if there is none."""

    media_type: str
    content: bytes


NO_LOGO: Final = Logo("", b"")


class Logos:
    """Fetches and keeps logos. Used by many threads."""

    def __init__(self, engine: Engine, hosts: tuple[str, ...]) -> None:
        self._engine = engine
        self._hosts = frozenset(hosts)
        self._kept: TTLCache[tuple[int, str], Logo] = TTLCache(
            _KEPT_BYTES, _KEPT_SECONDS, getsizeof=lambda logo: len(logo.content) + 200
        )
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def get(self, chain_id: int, token: str) -> Logo:
        """The logo of a token, or ``NO_LOGO``.

        Args:
            chain_id: A known chain.
            token: Address in lower case.
        """
        key = (chain_id, token)
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            with self._engine.connect() as connection:
                url = logo_url_of(connection, chain_id, token)
            if not self._places.acquire(timeout=_TIMEOUT[0]):
                return NO_LOGO  # not kept: the next request may succeed
            try:
                found = self._fetch(url) if url else NO_LOGO
            finally:
                self._places.release()
            with self._lock:
                self._kept[key] = found
        return found

    def _fetch(self, url: str) -> Logo:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.netloc not in self._hosts:
            return NO_LOGO
        try:
            with requests.get(url, timeout=_TIMEOUT, stream=True, allow_redirects=False) as response:
                if response.status_code != 200:
                    return NO_LOGO
                content = response.raw.read(_LARGEST + 1, decode_content=True)
        except (requests.RequestException, OSError):
            return NO_LOGO
        media_type = _media_type(content)
        return Logo(media_type, content) if media_type and len(content) <= _LARGEST else NO_LOGO


def _media_type(content: bytes) -> str | None:
    """The media type by the image's first bytes, whatever its sender claims."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _SIGNATURES if content.startswith(start)), None)
