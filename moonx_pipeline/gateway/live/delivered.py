"""Remembers which events were delivered."""

from __future__ import annotations

from typing import Final

from cachetools import FIFOCache, LRUCache

from moonx_pipeline.gateway.live.rooms import PORTFOLIO_UPDATE, Emission

_EVENTS: Final = 20_000
_USERS: Final = 50_000


class Delivered:
    """A bounded memory of deliveries: events are sent at least once, and may be replayed."""

    def __init__(self, events: int = _EVENTS, users: int = _USERS) -> None:
        """Remembers this many events, and the versions of this many users."""
        self._ids: FIFOCache[str, None] = FIFOCache(events)
        self._versions: LRUCache[str, int] = LRUCache(users)

    def is_news(self, emission: Emission) -> bool:
        """Whether neither it nor a later state of its portfolio was delivered before; remembers it as delivered."""
        if emission.event_id in self._ids:
            return False
        self._ids[emission.event_id] = None
        if emission.name != PORTFOLIO_UPDATE or emission.user_id is None:
            return True
        if emission.version <= self._versions.get(emission.user_id, -1):
            return False
        self._versions[emission.user_id] = emission.version
        return True
