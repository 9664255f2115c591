"""Price lines: what listed coins that somebody holds were worth over the last week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.flags import BLOCKING_FLAGS
from moonx_pipeline.storage.connection.statements import sql_beside

ASKED_EVERY: Final = timedelta(hours=1)
ASKED_AGAIN_AFTER: Final = timedelta(minutes=5)
"""After a call that failed."""

_CLAIM: Final = sql_beside(__file__, "claim_price_lines")
_READ: Final = sql_beside(__file__, "read_price_lines")
_GIVE_BACK: Final = "UPDATE price_lines SET asked_at = %s WHERE coingecko_id = ANY(%s)"
_STORE: Final = "UPDATE price_lines SET read_at = %s, prices = %s::numeric[] WHERE coingecko_id = %s"

_COINS: Final[dict[str, Any]] = {
    "chain_ids": [chain.id for chain in KNOWN_CHAINS],
    "coin_ids": [chain.native.coingecko_id for chain in KNOWN_CHAINS],
    "native": NATIVE_TOKEN,
    "blocking": sorted(BLOCKING_FLAGS),
}


class StoredLine(NamedTuple):
    """The line of a token.

    Attributes:
        chain_id: The token's chain.
        token: Its contract, in lower case, or ``NATIVE_TOKEN``.
        read_at: When it was read, which is its end.
        prices: In USD, evenly over the seven days before, oldest first; ``None`` where one could not be read.
    """

    chain_id: int
    token: str
    read_at: datetime
    prices: list[Decimal | None]


def claim_due_lines(connection: Connection, user_id: str | None, now: datetime, most: int) -> list[str]:
    """CoinGecko's ids of coins whose lines the caller is to ask for; nobody else is told the same for an hour.

    Args:
        connection: In a transaction.
        user_id: Whose counted holdings; ``None`` for everybody's.
        now: The time.
        most: How many at most; the most valuable holdings go first.
    """
    parameters = {**_COINS, "user_id": user_id, "now": now, "before": now - ASKED_EVERY, "most": most}
    return list(connection.exec_driver_sql(_CLAIM, parameters).scalars())


def give_back_lines(connection: Connection, coins: Sequence[str], now: datetime) -> None:
    """Makes coins due again soon, since they could not be asked for."""
    connection.exec_driver_sql(_GIVE_BACK, (now - ASKED_EVERY + ASKED_AGAIN_AFTER, list(coins)))


def store_lines(connection: Connection, lines: Mapping[str, Sequence[Decimal | None]], now: datetime) -> None:
    """Stores lines by CoinGecko's ids, as read now; the others keep what they had."""
    for coin, prices in sorted(lines.items()):
        connection.exec_driver_sql(_STORE, (now, list(prices), coin))


def read_lines(connection: Connection, user_id: str) -> list[StoredLine]:
    """The lines of a user's counted tokens, as far as there are any."""
    return [StoredLine(*row) for row in connection.exec_driver_sql(_READ, {**_COINS, "user_id": user_id})]
