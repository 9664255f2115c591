"""The evidence behind a user's portfolio."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator

from moonx_pipeline.domain.addresses import parse_address
from moonx_pipeline.gateway.answers import SIGNED_IN, Answer, answer, documented, not_found
from moonx_pipeline.gateway.callers import Shared, SignedIn
from moonx_pipeline.gateway.explain_models import Explanation
from moonx_pipeline.storage.syncs.evidence_log import read_explanation
from moonx_pipeline.views.explain import narrowed
from moonx_pipeline.views.explain_words import with_words

router = APIRouter(tags=["portfolio"])

OneAddress = Annotated[str | None, AfterValidator(lambda text: None if text is None else parse_address(text))]


@router.get("/portfolio/explain", response_model=Answer[Explanation], responses={**SIGNED_IN, **documented(404)})
def get_explanation(
    gateway: Shared,
    caller: SignedIn,
    walletAddress: Annotated[OneAddress, Query(description="Only positions of this wallet.")] = None,
    chainId: Annotated[int | None, Query(ge=1, description="Only positions on this chain.")] = None,
    tokenAddress: Annotated[OneAddress, Query(description="Only positions of this contract.")] = None,
    syncOperationId: Annotated[
        UUID | None, Query(description="As this sync left the portfolio; without it, as it is now.")
    ] = None,
) -> Response:
    """Why each position is worth what it is: who said what and when, which price was chosen, and what counts."""
    with gateway.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        explanation = read_explanation(connection, caller.user_id, syncOperationId)
    if explanation is None:
        raise not_found("Nothing is kept: no sync has changed the portfolio by then, or it was too long ago.")
    part = narrowed(explanation, wallet=walletAddress, chain_id=chainId, token=tokenAddress)
    return answer(with_words(part))
