"""A user's portfolio."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.gateway.answers import SIGNED_IN, Answer, ApiError, answer
from moonx_pipeline.gateway.callers import Gateway, Shared, SignedIn
from moonx_pipeline.gateway.entity_tags import names, weak_entity_tag
from moonx_pipeline.gateway.portfolio_models import History, Holdings, Portfolio, PriceLines, QuickPortfolio
from moonx_pipeline.storage.portfolios.portfolio import (
    StoredPortfolio,
    portfolio_state,
    portfolio_version,
    portfolios_in,
    read_portfolio,
)
from moonx_pipeline.storage.portfolios.series import read_series
from moonx_pipeline.storage.portfolios.users import wallets_added
from moonx_pipeline.storage.tokens.price_lines import read_lines
from moonx_pipeline.sync.requests.on_view import refresh_on_view
from moonx_pipeline.sync.requests.run_trigger import trigger_runs
from moonx_pipeline.views.csv import positions_csv
from moonx_pipeline.views.history import history_json
from moonx_pipeline.views.people import portfolio_for_people
from moonx_pipeline.views.portfolio import holdings_json, portfolio_json, quick_json
from moonx_pipeline.views.price_lines import price_lines_json

router = APIRouter(tags=["portfolio"])

_REVALIDATED: Final = "private, no-cache"
ChainIds = Annotated[
    str | None,
    Query(pattern="^[0-9]{1,9}(,[0-9]{1,9})*$", description="Chain ids with commas between.", examples=["1,137"]),
]
IncludeSpam = Annotated[bool, Query(description="Whether what is marked as spam is there, too.")]
MinValue = Annotated[
    Decimal | None,
    Query(
        ge=0, max_digits=40, decimal_places=18, description="Positions of a known value below it are left out, in USD."
    ),
]
_NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "All of it is as it was, `asOf` and the state of its chains too."}
}


@router.get("/portfolio", response_model=Answer[Portfolio], responses={**SIGNED_IN, **_NOT_MODIFIED})
def get_portfolio(
    gateway: Shared,
    caller: SignedIn,
    chainIds: ChainIds = None,
    includeSpam: IncludeSpam = False,
    minValue: MinValue = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The whole portfolio. Its weak `ETag` changes with all that it says: its version, its age, a chain's state.

    Viewing one that was never read, or not for 5 minutes, starts a sync in the background.
    """
    chains = _chain_ids(chainIds)
    viewed = gateway.afterwards.view(caller.user_id, _viewed, gateway, caller.user_id)
    with gateway.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        state = portfolio_state(connection, caller.user_id)
        tag = weak_entity_tag(state.version, caller.user_id, caller.is_admin, state.as_of, state.chains)
        headers = {"ETag": tag, "Cache-Control": _REVALIDATED, "Vary": "Authorization"}
        if if_none_match is not None and names(if_none_match, headers["ETag"], weakly=True):
            return Response(status_code=304, headers=headers, background=viewed)
        if state.has_wallets:
            stored = portfolios_in(connection, {caller.user_id: state})[caller.user_id]
        else:
            stored = StoredPortfolio.empty(caller.user_id, state.version)
    data = portfolio_json(stored, include_spam=includeSpam, chain_ids=chains, min_value=minValue)
    return answer(data if caller.is_admin else portfolio_for_people(data), headers=headers, background=viewed)


@router.get("/portfolio/holdings", response_model=Answer[Holdings], responses=SIGNED_IN)
def get_holdings(
    gateway: Shared,
    caller: SignedIn,
    chainIds: ChainIds = None,
    includeSpam: IncludeSpam = False,
    minValue: MinValue = None,
) -> Response:
    """The positions, each with its share of the total."""
    stored = _read(gateway, caller.user_id)
    chains = _chain_ids(chainIds)
    return answer(holdings_json(stored, include_spam=includeSpam, chain_ids=chains, min_value=minValue))


@router.get("/portfolio/quick", response_model=Answer[QuickPortfolio], responses=SIGNED_IN)
def get_quick(gateway: Shared, caller: SignedIn) -> Response:
    """The totals only."""
    return answer(quick_json(_read(gateway, caller.user_id)))


@router.get("/portfolio/history", response_model=Answer[History], responses=SIGNED_IN)
def get_history(gateway: Shared, caller: SignedIn, days: Annotated[int, Query(ge=1, le=366)] = 30) -> Response:
    """The total over the last days, and what else happened meanwhile."""
    now = utc_now()
    with gateway.engine.connect() as connection:
        series = read_series(connection, caller.user_id, days=days, now=now)
        added = wallets_added(connection, caller.user_id, now - timedelta(days=days))
    return answer(history_json(series, added))


@router.get("/portfolio/price-lines", response_model=Answer[PriceLines], responses=SIGNED_IN)
def get_price_lines(gateway: Shared, caller: SignedIn) -> Response:
    """What each token that is counted was worth over the last seven days, where a source has that for many at once.

    They are read anew at most once an hour.
    """
    with gateway.engine.connect() as connection:
        return answer(price_lines_json(read_lines(connection, caller.user_id)))


@router.get(
    "/portfolio.csv",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **SIGNED_IN},
)
def get_csv(gateway: Shared, caller: SignedIn, includeSpam: IncludeSpam = False) -> Response:
    """The positions for a spreadsheet; what it would take for a formula is quoted."""
    data = portfolio_json(_read(gateway, caller.user_id), include_spam=includeSpam)
    name = f"portfolio-{utc_now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(positions_csv(data["positions"]), media_type="text/csv", headers=headers)


def _read(gateway: Gateway, user_id: str) -> StoredPortfolio:
    with gateway.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        stored = read_portfolio(connection, user_id)
        return stored or StoredPortfolio.empty(user_id, portfolio_version(connection, user_id))


def _chain_ids(text: str | None) -> set[int] | None:
    if text is None:
        return None
    ids = {int(part) for part in text.split(",")}
    if unknown := sorted(ids.difference(CHAIN_BY_ID)):
        known = ", ".join(str(chain_id) for chain_id in CHAIN_BY_ID)
        raise ApiError(422, "invalid_request", f"chainIds: there is no chain {unknown[0]}; there are {known}.")
    return ids


def _viewed(gateway: Gateway, user_id: str) -> None:
    asked = refresh_on_view(gateway.engine, gateway.settings, user_id)
    if asked is not None and asked.request_id is not None:
        trigger_runs(gateway.engine, gateway.settings.service.graphql_url, [asked.request_id])
