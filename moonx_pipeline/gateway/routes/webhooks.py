"""Alchemy's Address Activity webhook: whoever's wallet moved is due now.

Its signature is checked over the body as it came, before anything of it is read; a delivery counts once.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, ValidationError

from moonx_pipeline.gateway.answers import Answer, ApiError, Model, answer, documented
from moonx_pipeline.gateway.callers import Gateway, Shared, address_of
from moonx_pipeline.storage.claims import note_movement
from moonx_pipeline.storage.webhooks import KEPT, is_first_delivery

router = APIRouter(tags=["webhooks"])

_AHEAD: Final = timedelta(minutes=5)


class Activity(BaseModel):
    """One transfer, as far as it is looked at."""

    fromAddress: str | None = None
    toAddress: str | None = None


class AddressActivity(BaseModel):
    """What moved."""

    activity: list[Activity] = []


class Delivery(BaseModel):
    """A delivery of the webhook."""

    webhookId: str
    id: str = Field(min_length=1, max_length=255)
    createdAt: datetime
    type: str
    event: AddressActivity


class Noted(Model):
    """What a delivery did."""

    usersDue: int = Field(description="Users who are due now.")


@router.post(
    "/webhooks/alchemy",
    response_model=Answer[Noted],
    responses=documented(400, 401, 404, 409, 413, 429),
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": Delivery.model_json_schema()}}}},
)
async def alchemy(
    request: Request, gateway: Shared, x_alchemy_signature: Annotated[str | None, Header()] = None
) -> Response:
    """Takes a delivery. Signed with the webhook's key, and not seen before."""
    key = gateway.settings.alchemy.webhook_signing_key
    if key is None:
        raise ApiError(404, "not_found", "No webhook is expected here: set ALCHEMY_WEBHOOK_SIGNING_KEY.")
    address = address_of(request)
    gateway.limits.check_address(address)
    body = await request.body()
    right = hmac.new(key.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right.encode(), (x_alchemy_signature or "").encode()):
        gateway.limits.count_refused(address)
        raise ApiError(401, "unauthorized", "The signature does not fit the body: check ALCHEMY_WEBHOOK_SIGNING_KEY.")
    return await run_in_threadpool(_take, gateway, _read(gateway, body))


def _read(gateway: Gateway, body: bytes) -> Delivery:
    try:
        delivery = Delivery.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ApiError(400, "invalid_request", f"{place or 'body'}: {first['msg']}") from None
    expected = gateway.settings.alchemy.webhook_id
    if expected is not None and delivery.webhookId != expected:
        raise ApiError(409, "other_webhook", "The delivery is of another webhook than ALCHEMY_WEBHOOK_ID names.")
    return delivery


def _take(gateway: Gateway, delivery: Delivery) -> Response:
    now = datetime.now(UTC)
    made_at = delivery.createdAt if delivery.createdAt.tzinfo else delivery.createdAt.replace(tzinfo=UTC)
    if not now - KEPT < made_at < now + _AHEAD:
        raise ApiError(409, "replayed", "The delivery is too old, or of a time to come.")
    addresses = {
        address.lower() for move in delivery.event.activity for address in (move.fromAddress, move.toAddress) if address
    }
    with gateway.engine.begin() as connection:
        if not is_first_delivery(connection, delivery.id):
            raise ApiError(409, "replayed", "This delivery was taken before.")
        users = note_movement(connection, sorted(addresses), now)
    return answer({"usersDue": len(users)})
