"""Logos of tokens. Without a token: pictures in a page can't send one, and they are nobody's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from moonx_pipeline.gateway.answers import OPEN, documented, not_found
from moonx_pipeline.gateway.callers import Shared, address_of
from moonx_pipeline.gateway.logos import NO_LOGO, Logos

router = APIRouter(tags=["portfolio"])


@router.get(
    "/logos/{chain_id}/{token_address}",
    response_class=Response,
    responses={200: {"content": {"image/*": {}}}, **documented(404, 422, 429, 503)},
    openapi_extra=OPEN,
)
async def get_logo(
    request: Request,
    gateway: Shared,
    chain_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    token_address: Annotated[str, Path(pattern="^0x[0-9a-f]{40}$")],
) -> Response:
    """The logo of a token that somebody holds."""
    logos: Logos = request.app.state.logos
    logo = logos.kept(chain_id, token_address)
    if logo is None:
        gateway.limits.count_logo(address_of(request))
        logo = await logos.get(chain_id, token_address)
    if logo is NO_LOGO:
        raise not_found("There is no logo of this token.")
    return Response(logo.content, media_type=logo.media_type, headers={"Cache-Control": "public, max-age=86400"})
