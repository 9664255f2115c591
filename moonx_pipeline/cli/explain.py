"""``moonx explain``: shows the evidence of a portfolio's total."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import OperatorError, WrongUse

_SHOWN = 25


@click.command()
@click.argument("user_id", metavar="USER")
@click.argument("token", required=False)
@click.option("--json", "as_json", is_flag=True, help="The data of GET /api/v1/portfolio/explain.")
@click.option("--sync", "operation_id", type=click.UUID, help="As this sync left the portfolio.")
@click.option("--at", metavar="TIME", help="As it was then, such as 2026-03-02T12:00Z.")
@click.option("--all", "everything", is_flag=True, help="Every position, not only the largest.")
def explain(
    user_id: str, token: str | None, as_json: bool, operation_id: UUID | None, at: str | None, everything: bool
) -> None:
    """Show the evidence of USER's positions: who said what and when, what was chosen, what is not counted and why.

    TOKEN is a symbol or a contract.
    """
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.syncs.evidence_log import read_explanation
    from moonx_pipeline.views.explain_words import lines, with_words

    moment = _moment(at)
    settings = load_settings()
    engine = ready_engine(settings)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        found = read_explanation(connection, user_id, operation_id, at=moment)
    if found is None:
        raise OperatorError(
            f"Nothing is kept of user '{user_id}' then: no sync had changed the portfolio, or it is more than "
            f"{settings.service.evidence_days} days ago (EVIDENCE_RETENTION_DAYS). 'moonx user list' shows the users."
        )
    shown = with_words(_of_token(found, token) if token else found)
    if as_json:
        echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for line in lines(shown, None if everything or token else _SHOWN):
        echo(line)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"'{text}' is no time: write it as 2026-03-02T12:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_token(found: dict[str, Any], token: str) -> dict[str, Any]:
    """The part of an explanation about one token, by symbol or contract."""
    wanted = token.lower()
    tokens = [one for one in found["tokens"] if wanted in (one["tokenAddress"], (one["symbol"] or "").lower())]
    if not tokens:
        raise OperatorError(f"The portfolio has no token '{token}': name it by its symbol or contract.")
    keys = {(one["chainId"], one["tokenAddress"]) for one in tokens}
    positions = [p for p in found["positions"] if (p["chainId"], p["tokenAddress"]) in keys]
    return {**found, "tokens": tokens, "positions": positions}
