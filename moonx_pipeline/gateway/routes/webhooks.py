"""Alchemy's Address Activity webhooks: users whose wallets moved something are due now.

Alchemy has a webhook a network, each with a signing key of its own. The signature is checked over the body as it
came, before anything of it is believed; what the key may speak for is checked next; a delivery counts once.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, ValidationError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID, KNOWN_CHAINS
from moonx_pipeline.domain.show import safe_text
from moonx_pipeline.gateway.answers import NO_NUL, OPEN, Answer, ApiError, Model, answer, documented
from moonx_pipeline.gateway.callers import Gateway, Shared, address_of
from moonx_pipeline.gateway.deliveries import ANY_CHAIN, has_signing_key, signers
from moonx_pipeline.providers.alchemy_networks import CHAIN_OF_WEBHOOK
from moonx_pipeline.storage.syncs.claims import note_movement
from moonx_pipeline.storage.syncs.webhooks import KEPT, Webhooks, distrust_webhooks, is_first_delivery, note_delivery

router = APIRouter(tags=["webhooks"])

_AHEAD: Final = timedelta(minutes=5)
_KEY: Final = "ALCHEMY_WEBHOOK_SIGNING_KEY"
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
_log = structlog.get_logger("webhooks")


class Activity(BaseModel):
    """One transfer, as far as it is looked at."""

    fromAddress: str | None = None
    toAddress: str | None = None


class AddressActivity(BaseModel):
    """What moved on a network, or why nothing is told any more."""

    network: str | None = Field(default=None, examples=["ETH_MAINNET"])
    activity: list[Activity | Any] = []
    error: str | None = None


class Delivery(BaseModel):
    """A delivery of a webhook."""

    webhookId: str
    id: str = Field(min_length=1, max_length=255, pattern=NO_NUL)
    createdAt: datetime
    type: str
    event: AddressActivity


class Noted(Model):
    """What a delivery did."""

    usersDue: int = Field(description="Users who are due now.")


def _in_one_piece(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model that is not recursive, without references: inside OpenAPI they would lead nowhere."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved(definitions[part["$ref"].removeprefix("#/$defs/")])
        return {key: resolved(value) for key, value in part.items()}

    whole: dict[str, Any] = resolved(schema)
    return whole


@router.post(
    "/webhooks/alchemy",
    response_model=Answer[Noted],
    responses=documented(400, 401, 404, 409, 413, 429),
    openapi_extra={**OPEN, "requestBody": {"content": {"application/json": {"schema": _in_one_piece(Delivery)}}}},
)
async def alchemy(
    request: Request, gateway: Shared, x_alchemy_signature: Annotated[str | None, Header()] = None
) -> Response:
    """Takes a delivery that is signed with the key of its network's webhook and was not seen before."""
    if not has_signing_key(gateway.settings.alchemy):
        raise ApiError(404, "not_found", f"No webhook is expected here: set {_KEY}, or {_KEY}_ETHEREUM and the like.")
    body = await request.body()
    # In a thread: hashing a large body once a key would hold up the live connections.
    return await run_in_threadpool(_serve, gateway, address_of(request), body, x_alchemy_signature or "")


def _serve(gateway: Gateway, address: str, body: bytes, signature: str) -> Response:
    signed_by = signers(gateway.settings.alchemy, body, signature)
    if not signed_by:
        gateway.limits.count_unsigned(address)
        raise ApiError(401, "unauthorized", f"The signature does not fit the body: check {_KEY} and those of chains.")
    delivery = _read(body)
    _check_sender(gateway, address, delivery, signed_by)
    return _take(gateway, delivery, signed_by)


def _read(body: bytes) -> Delivery:
    try:
        return Delivery.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ApiError(400, "invalid_request", f"{place or 'body'}: {first['msg']}") from None


def _check_sender(gateway: Gateway, address: str, delivery: Delivery, signed_by: frozenset[int | None]) -> None:
    """Whether the webhook may say this: a key of one network does not speak for another.

    Raises:
        ApiError: 401 or 409, it may not.
    """
    network = delivery.event.network
    chain_id = CHAIN_OF_WEBHOOK.get(network or "")
    if network is not None and chain_id not in signed_by and ANY_CHAIN not in signed_by:
        gateway.limits.count_unsigned(address)
        owners = " and ".join(CHAIN_BY_ID[owner].name for owner in signed_by if owner is not ANY_CHAIN)
        raise ApiError(
            401,
            "unauthorized",
            f"The delivery is of {network}, but its signing key is set for {owners}: check {_KEY}_….",
        )
    expected = gateway.settings.alchemy.webhook_id
    if signed_by == {ANY_CHAIN} and expected is not None and delivery.webhookId != expected:
        raise ApiError(409, "other_webhook", "The delivery is of another webhook than ALCHEMY_WEBHOOK_ID names.")


def _take(gateway: Gateway, delivery: Delivery, signed_by: frozenset[int | None]) -> Response:
    now = utc_now()
    made_at = delivery.createdAt if delivery.createdAt.tzinfo else delivery.createdAt.replace(tzinfo=UTC)
    if not now - KEPT < made_at < now + _AHEAD:
        raise ApiError(409, "replayed", "The delivery is too old, or of a time to come.")
    replayed = ApiError(409, "replayed", "This delivery was taken before.")
    if delivery.id in gateway.deliveries:
        raise replayed
    event, webhooks = delivery.event, Webhooks.of(gateway.settings)
    chain_id = CHAIN_OF_WEBHOOK.get(event.network or "")
    addresses, is_understood = _moved(event.activity)
    with gateway.engine.begin() as connection:
        is_first = is_first_delivery(connection, delivery.id)
        users = note_movement(connection, sorted(addresses), now) if is_first else []
        if is_first and (event.error is not None or not is_understood):
            distrust_webhooks(connection, _spoken_for(chain_id, signed_by))
        elif is_first and event.activity and chain_id is not None and delivery.type == "ADDRESS_ACTIVITY":
            note_delivery(connection, chain_id, made_at=made_at, now=now, quiet_limit=webhooks.quiet_limit)
    gateway.deliveries.add(delivery.id)
    if not is_first:
        raise replayed
    if event.error is not None:
        _log.warning("a webhook has stopped", network=event.network, error=safe_text(event.error)[:300])
    return answer({"usersDue": len(users)})


def _moved(activity: list[Activity | Any]) -> tuple[set[str], bool]:
    """The addresses of transfers, and whether each transfer has one: else somebody moved untold."""
    addresses: set[str] = set()
    is_understood = True
    for row in activity:
        sides = (row.fromAddress, row.toAddress) if isinstance(row, Activity) else ()
        known = {side.lower() for side in sides if side and _ADDRESS.fullmatch(side.lower())}
        addresses |= known
        is_understood = is_understood and bool(known)
    return addresses, is_understood


def _spoken_for(chain_id: int | None, signed_by: frozenset[int | None]) -> list[int]:
    """The networks that a webhook may be of."""
    if chain_id is not None:
        return [chain_id]
    return [chain.id for chain in KNOWN_CHAINS if ANY_CHAIN in signed_by or chain.id in signed_by]
