"""A user's wallets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import AfterValidator, Field

from moonx_pipeline.domain.addresses import parse_address
from moonx_pipeline.gateway.answers import SIGNED_IN, WITH_BODY, Answer, ApiError, Model, answer, documented
from moonx_pipeline.gateway.callers import Shared, SignedIn
from moonx_pipeline.gateway.entity_tags import entity_tag, names
from moonx_pipeline.gateway.portfolio_models import Wallets
from moonx_pipeline.storage.portfolios.users import MAX_WALLETS, WalletsChanged, wallets_of
from moonx_pipeline.sync.requests.run_trigger import trigger_runs
from moonx_pipeline.sync.requests.wallets import change_wallets
from moonx_pipeline.views.people import sync_sentence

router = APIRouter(tags=["wallets"])

WalletAddress = Annotated[
    str,
    AfterValidator(parse_address),
    Field(
        description="With mixed case its EIP-55 checksum must be right.",
        examples=["0x52908400098527886E0F7030069857D2E4169EE7"],
    ),
]


class WalletsBody(Model):
    """The whole list."""

    wallets: list[WalletAddress] = Field(max_length=MAX_WALLETS)


@router.get("/wallets", response_model=Answer[Wallets], responses=SIGNED_IN)
def get_wallets(gateway: Shared, caller: SignedIn) -> Response:
    """The wallets that make up the portfolio. Its `ETag` names this list for `If-Match`."""
    with gateway.engine.connect() as connection:
        wallets = wallets_of(connection, caller.user_id)
    data = {"wallets": list(wallets), "maxWallets": MAX_WALLETS, "requestId": None}
    return answer(data, headers={"ETag": _tag(caller.user_id, wallets)})


@router.put("/wallets", response_model=Answer[Wallets], responses={**SIGNED_IN, **WITH_BODY, **documented(412)})
def put_wallets(
    gateway: Shared, caller: SignedIn, body: WalletsBody, if_match: Annotated[str | None, Header()] = None
) -> Response:
    """Replaces the list. A wallet that goes takes its holdings and history with it; a new one is read at once.

    Who changes the list often within a quarter of an hour waits for the next unattended sync: then `requestId` is
    null, and `message` says so.

    With the list's `ETag` as `If-Match`, a list that somebody else has changed meanwhile is left as it is.
    """
    wanted = list(dict.fromkeys(body.wallets))
    try:
        change = change_wallets(
            gateway.engine,
            gateway.settings,
            caller.user_id,
            wanted,
            is_base=lambda wallets: if_match is None or names(if_match, _tag(caller.user_id, wallets)),
        )
    except WalletsChanged:
        raise ApiError(
            412, "changed_meanwhile", "The wallets were changed meanwhile: read them again, and change those."
        ) from None
    request_id = change.request.request_id if change.request else None
    data = {
        "wallets": list(change.wallets),
        "maxWallets": MAX_WALLETS,
        "requestId": str(request_id) if request_id else None,
    }
    trigger = gateway.afterwards.act(
        trigger_runs, gateway.engine, gateway.settings.service.graphql_url, [request_id] if request_id else []
    )
    refusal = change.request.refusal if change.request else None
    message = f"Your wallets are stored. {_why_not_read(refusal.code)}" if refusal else None
    return answer(data, message, headers={"ETag": _tag(caller.user_id, change.wallets)}, background=trigger)


def _why_not_read(code: str) -> str:
    if code != "rate_limited":
        return sync_sentence(code)
    return "They were changed often in a short time, so they are read with the next unattended sync."


def _tag(user_id: str, wallets: Sequence[str]) -> str:
    return entity_tag(user_id, *wallets)
