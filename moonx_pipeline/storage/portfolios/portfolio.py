"""A user's stored portfolio: positions, total, and the state of each chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.chains import DISPLAY_ORDER
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.valuation import Totals, totals_of
from moonx_pipeline.storage.connection.statements import sql_beside


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


class PortfolioState(NamedTuple):
    """All of a portfolio but its positions; what is shown of those changes with the version only.

    Attributes:
        version: Grows by one with each change.
        as_of: End of the last sync that read a chain; ``None`` before the first.
        total_value_usd: As the last sync stored it.
        chains: Chains that were ever tried.
        has_wallets: Whether the user has any.
    """

    version: int
    as_of: datetime | None
    total_value_usd: Decimal | None
    chains: tuple[ChainState, ...]
    has_wallets: bool


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


_STATES = """
SELECT u.user_id, coalesce(s.portfolio_version, 0), s.last_sync_at, s.total_value_usd,
       EXISTS (SELECT 1 FROM user_wallets w WHERE w.user_id = u.user_id)
FROM unnest(%(users)s::text[]) AS u(user_id) LEFT JOIN user_sync_status s USING (user_id)
"""

_CHAINS: Final = sql_beside(__file__, "read_chains")

_POSITIONS = """
SELECT user_id, wallet_address, chain_id, token_address, token_symbol, token_name, token_decimals, balance::text,
       balance_formatted, price_usd, value_usd, price_source, price_at, change_24h, is_spam, spam_reasons, is_verified,
       flags, logo_url, is_stale
FROM current_portfolio WHERE user_id = ANY(%(users)s)
ORDER BY user_id, value_usd DESC NULLS LAST, wallet_address, chain_id, token_address
"""


def portfolio_version(connection: Connection, user_id: str) -> int:
    """The version of a user's portfolio, which never goes down; 0 before the first."""
    version: int | None = connection.exec_driver_sql(
        "SELECT portfolio_version FROM user_sync_status WHERE user_id = %s", (user_id,)
    ).scalar()
    return version or 0


def fresh_chains(connection: Connection, user_ids: Sequence[str]) -> dict[str, set[tuple[str, int]]]:
    """The wallets and chains of users that are fresh as stored, by user id."""
    fresh: dict[str, set[tuple[str, int]]] = {user: set() for user in user_ids}
    rows = connection.exec_driver_sql(
        "SELECT user_id, wallet_address, chain_id FROM user_chain_status WHERE user_id = ANY(%s) AND status = 'fresh'",
        (list(user_ids),),
    )
    for user, wallet, chain_id in rows:
        fresh[user].add((wallet, chain_id))
    return fresh


def portfolio_state(connection: Connection, user_id: str) -> PortfolioState:
    """All of a user's portfolio but its positions.

    Args:
        connection: Inside a transaction of one snapshot, so that all it reads fits together.
        user_id: The user.
    """
    return _states(connection, [user_id])[user_id]


def read_portfolio(connection: Connection, user_id: str) -> StoredPortfolio | None:
    """A user's portfolio; ``None`` for a user without wallets. The connection is as for ``portfolio_state``."""
    return read_portfolios(connection, [user_id]).get(user_id)


def read_portfolios(connection: Connection, user_ids: Sequence[str]) -> dict[str, StoredPortfolio]:
    """The portfolios of those users who have wallets, by user id. The connection is as for ``portfolio_state``."""
    states = {user: state for user, state in _states(connection, user_ids).items() if state.has_wallets}
    return portfolios_in(connection, states)


def portfolios_in(connection: Connection, states: Mapping[str, PortfolioState]) -> dict[str, StoredPortfolio]:
    """The portfolios of users whose states are known from the same snapshot."""
    positions: dict[str, list[Position]] = {user: [] for user in states}
    for user, *row in connection.exec_driver_sql(_POSITIONS, {"users": list(states)}):
        positions[user].append(_position(row))
    return {user: _portfolio(user, state, tuple(positions[user])) for user, state in states.items()}


def _states(connection: Connection, user_ids: Sequence[str]) -> dict[str, PortfolioState]:
    parameters = {"users": list(user_ids), "display_order": list(DISPLAY_ORDER)}
    chains: dict[str, list[ChainState]] = {user: [] for user in user_ids}
    for user, *row in connection.exec_driver_sql(_CHAINS, parameters):
        chains[user].append(ChainState(*row))
    return {
        user: PortfolioState(version, as_of, total, tuple(chains[user]), has_wallets)
        for user, version, as_of, total, has_wallets in connection.exec_driver_sql(_STATES, parameters)
    }


def _portfolio(user_id: str, state: PortfolioState, positions: tuple[Position, ...]) -> StoredPortfolio:
    stale = [chain.chain_id for chain in state.chains if chain.status != "fresh"]
    totals = totals_of(positions, stale, sum(chain.unread for chain in state.chains))
    return StoredPortfolio(user_id, state.version, state.as_of, state.total_value_usd, positions, totals, state.chains)


def _position(row: Sequence[Any]) -> Position:
    values = list(row)
    values[6] = int(row[6])
    values[14], values[16] = tuple(row[14]), tuple(row[16])
    return Position._make(values)
