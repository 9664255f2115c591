"""Deliveries of webhooks that were taken, so that none is taken twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

KEPT: Final = timedelta(days=1)
"""How long a delivery is remembered; what is older is refused by its age."""


def is_first_delivery(connection: Connection, delivery_id: str) -> bool:
    """Remembers a delivery; whether it was not known. Those of long ago are forgotten.

    Args:
        connection: Inside the transaction that does what the delivery asks.
        delivery_id: The sender's name for it, the same when he repeats it.
    """
    connection.exec_driver_sql("DELETE FROM webhook_deliveries WHERE received_at < now() - %s * 2", (KEPT,))
    added = connection.exec_driver_sql(
        "INSERT INTO webhook_deliveries (id) VALUES (%s) ON CONFLICT DO NOTHING", (delivery_id,)
    )
    return added.rowcount == 1
