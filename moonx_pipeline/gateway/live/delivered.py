"""What was delivered already."""

from __future__ import annotations

from typing import Final

from cachetools import FIFOCache, LRUCache

from moonx_pipeline.gateway.live.rooms import PORTFOLIO_UPDATE, Emission

_EVENTS: Final = 20_000
_USERS: Final = 50_000


class Delivered:
    """A bounded memory: events are sent at least once, and kept ones may be published again."""

    def __init__(self, events: int = _EVENTS, users: int = _USERS) -> None:
        """Remembers so many events, and the versions of so many users."""
        self._ids: FIFOCache[str, None] = FIFOCache(events)
        self._versions: LRUCache[str, int] = LRUCache(users)

    def is_news(self, emission: Emission) -> bool:
        """Whether it was not delivered before, nor a later state of the same portfolio; remembers it as delivered."""
        if emission.event_id in self._ids:
            return False
        self._ids[emission.event_id] = None
        if emission.name != PORTFOLIO_UPDATE or emission.user_id is None:
            return True
        if emission.version <= self._versions.get(emission.user_id, -1):
            return False
        self._versions[emission.user_id] = emission.version
        return True
