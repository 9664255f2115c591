"""Reads price lines anew: of the coins that somebody holds, at most once an hour, after portfolios are stored."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.providers import COINGECKO
from moonx_pipeline.providers.coingecko import COINS_A_CALL
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.connection.causes import why_database_failed
from moonx_pipeline.storage.tokens.price_lines import claim_due_lines, give_back_lines, store_lines
from moonx_pipeline.sync.protection.breakers import load_breakers, report_breakers
from moonx_pipeline.sync.runtime import Runtime

_SECONDS: Final = 10.0
"""How long a call may take, with its database work."""


def refresh_price_lines(runtime: Runtime, user_id: str | None = None) -> int:
    """Reads the lines that are due, with one call to CoinGecko, or none.

    A failure costs nothing but time: the lines stay as they were, and are due again after five minutes.

    Args:
        runtime: The database, the providers and the rules.
        user_id: Whose counted holdings; ``None`` for everybody's.

    Returns:
        The number of lines that were read.

    Raises:
        ProviderError: CoinGecko did not answer.
        SQLAlchemyError: The database was away.
    """
    db, now, deadline = runtime.db, utc_now(), time.monotonic() + _SECONDS
    due = db.transaction(deadline, claim_due_lines, user_id, now, COINS_A_CALL)
    if not due:
        return 0
    breakers = load_breakers(db, runtime.policy.breakers, [COINGECKO.id])
    try:
        ask = partial(runtime.providers.coingecko.price_lines, due)
        lines = breakers.call(COINGECKO.id, ask, CallScope.lasting(_SECONDS))
    except ProviderError:
        db.transaction(time.monotonic() + _SECONDS, give_back_lines, due, now)
        raise
    finally:
        report_breakers(db, breakers)
    db.transaction(time.monotonic() + _SECONDS, store_lines, lines, now)
    return len(lines)


def refresh_quietly(runtime: Runtime, user_id: str) -> str | None:
    """The same for a user whose sync has just ended; says why it came to nothing instead of raising it."""
    try:
        refresh_price_lines(runtime, user_id)
    except ProviderError as problem:
        return str(problem)
    except SQLAlchemyError as problem:
        return why_database_failed(problem) or type(problem).__name__
    return None
