"""A user's stored portfolio: positions, total, and the state of each chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.chains import DISPLAY_ORDER
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import Totals, totals_of


class ChainState(NamedTuple):
    """One chain over all of a user's wallets: ``stale`` if one of them is, as old as the oldest; ``never`` if one of
    them was not read yet.

    ``error`` is why it is not fresh, or what its source can't know; ``error_code`` is its code, ``None`` if it has
    none. ``known_tokens_only``: new tokens are not seen. ``unread``: the number of unread tokens.
    """

    chain_id: int
    status: str
    synced_at: datetime | None
    error: str | None
    known_tokens_only: bool
    unread: int = 0
    error_code: str | None = None


class StoredPortfolio(NamedTuple):
    """A portfolio as stored.

    Attributes:
        user_id: The user.
        version: Grows by one with each change.
        as_of: End of the last sync that read a chain; ``None`` before the first.
        total_value_usd: As the last sync stored it.
        positions: Largest value first, spam included.
        totals: Summed up from the positions.
        chains: Chains that were ever tried.
    """

    user_id: str
    version: int
    as_of: datetime | None
    total_value_usd: Decimal | None
    positions: tuple[Position, ...]
    totals: Totals
    chains: tuple[ChainState, ...]

    @classmethod
    def empty(cls, user_id: str, version: int) -> StoredPortfolio:
        """The portfolio of a user without wallets."""
        return cls(user_id, version, None, None, (), totals_of((), ()), ())


_CHAINS = """
SELECT chain_id, CASE WHEN bool_or(status = 'never') OR count(*) < min(w.wallets) THEN 'never'
                      WHEN bool_or(status = 'stale') THEN 'stale' ELSE 'fresh' END,
       min(last_success_at), min(error), bool_or(coverage IS NOT DISTINCT FROM 'known_tokens'), sum(s.unread),
       (array_agg(error_code ORDER BY error))[1]
FROM user_chain_status s, (SELECT count(*) AS wallets FROM user_wallets WHERE user_id = %(user)s) w
WHERE s.user_id = %(user)s GROUP BY chain_id
ORDER BY array_position(%(display_order)s, chain_id), chain_id
"""

_POSITIONS = """
SELECT wallet_address, chain_id, token_address, token_symbol, token_name, token_decimals, balance::text,
       balance_formatted, price_usd, value_usd, price_source, price_at, change_24h, is_spam, spam_reasons, is_verified,
       flags, logo_url, is_stale
FROM current_portfolio WHERE user_id = %s
ORDER BY value_usd DESC NULLS LAST, wallet_address, chain_id, token_address
"""


def portfolio_version(connection: Connection, user_id: str) -> int:
    """The version of a user's portfolio, which never goes down; 0 before the first."""
    version: int | None = connection.exec_driver_sql(
        "SELECT portfolio_version FROM user_sync_status WHERE user_id = %s", (user_id,)
    ).scalar()
    return version or 0


def read_portfolio(connection: Connection, user_id: str) -> StoredPortfolio | None:
    """A user's portfolio; ``None`` for a user without wallets.

    Args:
        connection: Inside a transaction of one snapshot, so that all it reads fits together.
        user_id: The user.
    """
    status = connection.exec_driver_sql(
        "SELECT coalesce(s.portfolio_version, 0), s.last_sync_at, s.total_value_usd "
        "FROM (SELECT DISTINCT user_id FROM user_wallets WHERE user_id = %s) w "
        "LEFT JOIN user_sync_status s USING (user_id)",
        (user_id,),
    ).one_or_none()
    if status is None:
        return None
    version, as_of, total = status
    in_order = {"user": user_id, "display_order": list(DISPLAY_ORDER)}
    chains = tuple(ChainState(*row) for row in connection.exec_driver_sql(_CHAINS, in_order))
    positions = tuple(_position(row) for row in connection.exec_driver_sql(_POSITIONS, (user_id,)))
    stale = [chain.chain_id for chain in chains if chain.status != "fresh"]
    totals = totals_of(positions, stale, sum(chain.unread for chain in chains))
    return StoredPortfolio(user_id, version, as_of, total, positions, totals, chains)


def _position(row: Sequence[Any]) -> Position:
    values = list(row)
    values[6] = int(row[6])
    values[14], values[16] = tuple(row[14]), tuple(row[16])
    return Position._make(values)
