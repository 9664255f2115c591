"""What a webhook's sender does, and what becomes of it."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import requests
from sqlalchemy import Engine

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.storage.syncs.webhooks import WebhookNetwork, webhook_networks
from moonx_pipeline_tests.fixtures.gateway import WEBHOOK_KEY, GatewayProcess


def activity(wallet: str) -> dict[str, Any]:
    return {"fromAddress": "0x" + "0" * 40, "toAddress": wallet, "value": 12.5, "asset": None}


def delivery(
    wallet: str, *, network: str | None = "MATIC_MAINNET", age: timedelta = timedelta(0), **changes: Any
) -> bytes:
    content = {
        "webhookId": "wh_tests",
        "id": f"whevt_{uuid4()}",
        "createdAt": rfc3339(datetime.now(UTC) - age).replace("Z", "678901Z"),
        "type": "ADDRESS_ACTIVITY",
        "event": {"network": network, "activity": [activity(wallet)]},
        **changes,
    }
    return json.dumps(content).encode()


def signature_of(body: bytes, key: str = WEBHOOK_KEY) -> str:
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def deliver(
    gateway: GatewayProcess,
    body: bytes,
    *,
    key: str = WEBHOOK_KEY,
    signature: str | None = None,
    address: str = "127.0.0.1",
) -> requests.Response:
    headers = {
        "X-Alchemy-Signature": signature_of(body, key) if signature is None else signature,
        "Content-Type": "application/json",
        "X-Forwarded-For": address,
    }
    return gateway.ask("POST", "/api/v1/webhooks/alchemy", data=body, headers=headers)


def a_user(gateway: GatewayProcess) -> tuple[str, str]:
    """A user who is not due for an hour, and their wallet."""
    wallet = "0x" + uuid4().hex + "00000000"
    user_id = gateway.register(f"ann-{uuid4()}", wallet)
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET next_sync_at = now() + interval '1 hour' WHERE user_id = %s", (user_id,)
        )
    return user_id, wallet


def is_due(gateway: GatewayProcess, user_id: str) -> bool:
    with gateway.engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT next_sync_at <= now() AND moved_at IS NOT NULL FROM user_sync_status WHERE user_id = %s", (user_id,)
        ).scalar_one()


def networks(engine: Engine) -> dict[int, WebhookNetwork]:
    """The networks that have delivered, by chain."""
    with engine.connect() as connection:
        return {network.chain_id: network for network in webhook_networks(connection)}


def forget_networks(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM webhook_networks")
