"""What is known of users' chains: the tokens that their wallets hold, and up to which block."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.portfolio import Coverage


class KnownChain(NamedTuple):
    """What is known of one wallet on one chain.

    Attributes:
        block: What was received up to this block is among the tokens.
        full_read_at: When the tokens were last listed.
        coverage: What that list covers.
        tokens: The tokens held.
    """

    block: int
    full_read_at: datetime
    coverage: Coverage
    tokens: tuple[str, ...]


# The tokens chain by chain, by the primary key: a join of both sets is slow where the planner knows neither's size.
_KNOWN = """
SELECT c.user_id, c.wallet_address, c.chain_id, c.known_block, c.full_read_at, c.coverage,
       ARRAY(SELECT h.token_address FROM user_token_holdings h
             WHERE h.user_id = c.user_id AND h.wallet_address = c.wallet_address AND h.chain_id = c.chain_id)
FROM user_chain_status c
WHERE c.user_id = ANY(%(users)s) AND c.status = 'fresh' AND c.unread = 0 AND c.resume_key IS NULL
  AND c.known_block IS NOT NULL AND c.full_read_at IS NOT NULL
"""


def known_chains(connection: Connection, user_ids: Sequence[str]) -> dict[tuple[str, str, int], KnownChain]:
    """What is known of users' wallets, by user, wallet and chain.

    Chains are left out that were not read in full, or whose last reading failed or was partial.
    """
    rows = connection.exec_driver_sql(_KNOWN, {"users": list(user_ids)})
    return {
        (user_id, wallet, chain_id): KnownChain(block, full_read_at, Coverage(coverage), tuple(tokens))
        for user_id, wallet, chain_id, block, full_read_at, coverage, tokens in rows
    }


_NEWEST = """
SELECT wallet_address, chain_id, max(block) FROM user_chain_status
WHERE user_id = ANY(%s) AND block IS NOT NULL AND last_success_at > now() - interval '1 hour'
GROUP BY wallet_address, chain_id
"""


def newest_blocks(connection: Connection, user_ids: Sequence[str]) -> dict[tuple[str, int], int]:
    """The newest block at which a wallet's balances were read within the last hour, by wallet and chain.

    Not of longer ago: a chain that somebody made for development may begin anew.
    """
    rows = connection.exec_driver_sql(_NEWEST, (list(user_ids),))
    return {(wallet, chain_id): block for wallet, chain_id, block in rows}


_SHOWN = """
SELECT wallet_address, chain_id, array_agg(token_address) FROM user_token_holdings
WHERE user_id = ANY(%s) AND NOT is_spam GROUP BY wallet_address, chain_id
"""


def tokens_shown(connection: Connection, user_ids: Sequence[str]) -> dict[tuple[str, int], frozenset[str]]:
    """The tokens held, except spam, by wallet and chain."""
    rows = connection.exec_driver_sql(_SHOWN, (list(user_ids),))
    return {(wallet, chain_id): frozenset(tokens) for wallet, chain_id, tokens in rows}
