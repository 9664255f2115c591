"""The webhooks that are set up as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from moonx_pipeline.domain.chains import KNOWN_CHAINS
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.storage.syncs.webhooks import WebhookNetwork, Webhooks


def webhooks_json(webhooks: Webhooks, networks: Iterable[WebhookNetwork], now: datetime) -> list[dict[str, Any]]:
    """Each network with a signing key, whether its webhook is alive, and its last delivery.

    Args:
        webhooks: The webhooks that are set up.
        networks: The networks that have delivered.
        now: The time.
    """
    delivered = {network.chain_id: network for network in networks}
    return [
        _webhook(chain.name, chain.id, webhooks, delivered.get(chain.id), now)
        for chain in KNOWN_CHAINS
        if chain.id in webhooks.chain_ids
    ]


def _webhook(
    name: str, chain_id: int, webhooks: Webhooks, network: WebhookNetwork | None, now: datetime
) -> dict[str, Any]:
    return {
        "chainId": chain_id,
        "name": name,
        "alive": network is not None and network.is_alive(webhooks, now),
        "lastDeliveryAt": rfc3339(network.last_delivery_at) if network else None,
    }
