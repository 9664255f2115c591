"""Checks webhook deliveries: which signing keys fit, and whether a delivery was taken before."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from moonx_pipeline.domain.chains import KNOWN_CHAINS
from moonx_pipeline.settings.providers import AlchemySettings

_REMEMBERED: Final = 10_000

ANY_CHAIN: Final = None
"""Stands for the signing key without a chain."""


def has_signing_key(settings: AlchemySettings) -> bool:
    """Whether any webhook signing key is set."""
    return next(_keys(settings), None) is not None


def signers(settings: AlchemySettings, body: bytes, signature: str) -> frozenset[int | None]:
    """The webhooks that may have signed a body, by chain id; ``ANY_CHAIN`` for the key without a chain.

    All keys are tried, each in constant time, so the duration does not reveal which of them fits.

    Args:
        settings: The signing keys.
        body: The bytes as received.
        signature: The signature that came with it, in hex.
    """
    given = signature.encode()
    return frozenset(
        chain_id
        for chain_id, key in _keys(settings)
        if hmac.compare_digest(hmac.new(key, body, hashlib.sha256).hexdigest().encode(), given)
    )


def _keys(settings: AlchemySettings) -> Iterator[tuple[int | None, bytes]]:
    if settings.webhook_signing_key is not None:
        yield ANY_CHAIN, settings.webhook_signing_key.get_secret_value().encode()
    for chain in KNOWN_CHAINS:
        key = settings.webhook_key_of(chain.slug)
        if key is not None:
            yield chain.id, key.get_secret_value().encode()


class TakenDeliveries:
    """The latest deliveries that this gateway took, so a repeated one costs the database nothing."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, delivery_id: str) -> bool:
        with self._lock:
            return delivery_id in self._ids

    def add(self, delivery_id: str) -> None:
        """Remembers a delivery; forgets the oldest if there are too many."""
        with self._lock:
            self._ids[delivery_id] = None
            if len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
