"""Alchemy's webhooks as stored: deliveries received, and the networks they report on.

A sweep may keep the balances of users who moved nothing only on a network that would report a movement: its webhook
is *alive* while valid deliveries follow each other without a long silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.settings import Settings

KEPT: Final = timedelta(days=1)
"""How long a delivery is remembered; older ones are refused by their age."""

_WRITTEN_EVERY: Final = timedelta(minutes=1)
"""A busy network delivers many times a second; its row is written at most this often."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The configured webhooks.

    Attributes:
        chain_ids: Networks that have a signing key and whose webhooks report every movement.
        quiet_limit: A silence this long may have lost deliveries.
    """

    chain_ids: frozenset[int] = frozenset()
    quiet_limit: timedelta = timedelta(0)

    @classmethod
    def of(cls, settings: Settings) -> Webhooks:
        """The webhooks of the settings, for the chains that are read. The key without a chain is valid for all."""
        alchemy = settings.alchemy
        serves_all = alchemy.webhook_signing_key is not None
        chain_ids = frozenset(
            chain.id
            for chain in settings.chains
            if chain.webhook_sees_all and (serves_all or alchemy.webhook_key_of(chain.slug))
        )
        return cls(chain_ids, timedelta(milliseconds=alchemy.webhook_quiet_limit_ms))


NO_WEBHOOKS: Final = Webhooks()


class WebhookNetwork(NamedTuple):
    """A network whose webhook has delivered.

    Attributes:
        chain_id: The network.
        alive_since: Since when it has delivered without a long silence.
        last_delivery_at: When the last delivery was made, up to a minute too early.
    """

    chain_id: int
    alive_since: datetime
    last_delivery_at: datetime

    def is_alive(self, webhooks: Webhooks, now: datetime) -> bool:
        """Whether it still reports movements: it has a key, and its last delivery is recent."""
        return self.chain_id in webhooks.chain_ids and now < self.last_delivery_at + webhooks.quiet_limit


def is_first_delivery(connection: Connection, delivery_id: str) -> bool:
    """Remembers a delivery and forgets old ones. Returns whether it is new.

    Args:
        connection: Inside the transaction that does what the delivery asks.
        delivery_id: The sender's id for it, the same if it is repeated.
    """
    connection.exec_driver_sql("DELETE FROM webhook_deliveries WHERE received_at < now() - %s * 2", (KEPT,))
    added = connection.exec_driver_sql(
        "INSERT INTO webhook_deliveries (id) VALUES (%s) ON CONFLICT DO NOTHING", (delivery_id,)
    )
    return added.rowcount == 1


# Read first, since ON CONFLICT locks the row even if it then changes nothing.
_NOTE = """
INSERT INTO webhook_networks AS n (chain_id, alive_since, last_delivery_at)
SELECT %(chain_id)s, %(now)s, %(made_at)s
WHERE NOT EXISTS (SELECT 1 FROM webhook_networks
                  WHERE chain_id = %(chain_id)s AND last_delivery_at > %(made_at)s - %(written_every)s)
ON CONFLICT (chain_id) DO UPDATE
SET alive_since = CASE WHEN n.last_delivery_at + %(quiet_limit)s > %(now)s THEN n.alive_since ELSE %(now)s END,
    last_delivery_at = greatest(n.last_delivery_at, excluded.last_delivery_at)
"""


def note_delivery(
    connection: Connection, chain_id: int, *, made_at: datetime, now: datetime, quiet_limit: timedelta
) -> None:
    """Records that a network's webhook delivered; after a long silence it is alive from now on.

    Args:
        connection: Inside the transaction that records who moved.
        chain_id: The network.
        made_at: When the delivery was made; a repeated one may come late.
        now: When it came.
        quiet_limit: A silence this long may have lost deliveries.
    """
    connection.exec_driver_sql(
        _NOTE,
        {
            "chain_id": chain_id,
            "made_at": min(made_at, now),
            "now": now,
            "quiet_limit": quiet_limit,
            "written_every": min(_WRITTEN_EVERY, quiet_limit / 10),
        },
    )


def distrust_webhooks(connection: Connection, chain_ids: Iterable[int]) -> None:
    """Forgets that the webhooks of some networks are alive; their next delivery begins anew."""
    connection.exec_driver_sql("DELETE FROM webhook_networks WHERE chain_id = ANY(%s)", (sorted(chain_ids),))


def webhook_networks(connection: Connection) -> list[WebhookNetwork]:
    """All networks whose webhooks have delivered, alive or not."""
    rows = connection.exec_driver_sql("SELECT chain_id, alive_since, last_delivery_at FROM webhook_networks")
    return [WebhookNetwork(*row) for row in rows]


def alive_since(connection: Connection, webhooks: Webhooks, now: datetime) -> dict[int, datetime]:
    """Since when each alive webhook has been alive, by network: what was read earlier may have moved unreported."""
    return {
        network.chain_id: network.alive_since
        for network in webhook_networks(connection)
        if network.is_alive(webhooks, now)
    }
