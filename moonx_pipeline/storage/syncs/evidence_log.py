"""The evidence stored with syncs, read back as the explanation of a portfolio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.explanation import unpack
from moonx_pipeline.domain.flags import not_counted_reason
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.quotes import ASKED_SOURCES
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.upkeep.chunks import with_lock_timeout


class SyncEvidence(msgspec.Struct, frozen=True):
    """The packed evidence by which one sync valued a portfolio, without that for its tokens."""

    operation_id: UUID
    user_id: str
    evidence: msgspec.Raw


_KEEP: Final = """
WITH batch AS (
    INSERT INTO batch_evidence (id, stored_at, tokens) VALUES (gen_random_uuid(), %(at)s, %(tokens)s) RETURNING id
)
INSERT INTO sync_evidence (sync_operation_id, user_id, stored_at, evidence, batch_id)
SELECT x.operation_id, x.user_id, %(at)s, convert_to(x.evidence::text, 'UTF8'), batch.id
FROM json_to_recordset(%(rows)s::json) AS x(operation_id uuid, user_id text, evidence json), batch
ON CONFLICT (sync_operation_id) DO NOTHING
"""


def keep_evidence(connection: Connection, kept: Sequence[SyncEvidence], tokens: bytes, at: datetime) -> None:
    """Stores the evidence of a batch of syncs.

    Args:
        connection: Inside the transaction that stores their portfolios.
        kept: Evidence of the syncs that changed a portfolio.
        tokens: The packed evidence for all of their tokens.
        at: When they ended.
    """
    connection.exec_driver_sql(_KEEP, {"rows": recordset(kept), "tokens": tokens, "at": at})


# A sync that changed nothing is explained by the one before it that did.
_EXPLAIN: Final = """
SELECT e.sync_operation_id, e.stored_at, e.evidence, b.tokens, o.portfolio_version, o.total_value_usd
FROM sync_evidence e JOIN kept_operations o ON o.user_id = e.user_id AND o.id = e.sync_operation_id
LEFT JOIN batch_evidence b ON b.id = e.batch_id
WHERE e.user_id = %(user)s
  AND (%(operation)s::uuid IS NULL OR e.stored_at <= (
       SELECT completed_at FROM kept_operations WHERE id = %(operation)s AND user_id = %(user)s))
  AND (%(at)s::timestamptz IS NULL OR e.stored_at <= %(at)s)
ORDER BY e.stored_at DESC LIMIT 1
"""

# Tokens about which no source said anything are not in the evidence: their stored holdings fill them in.
_REST: Final = """
SELECT h.wallet_address, h.chain_id, h.token_address, h.token_symbol, h.balance::text, h.balance_formatted,
       h.is_spam, h.spam_reasons, h.flags, r.token_address IS NOT NULL, r.coingecko_id, r.lists,
       (SELECT json_object_agg(e.source, e.answered_at) FROM token_evidence e
        WHERE e.chain_id = h.chain_id AND e.token_address = h.token_address AND e.source <> 'accepted')
FROM user_token_holdings h LEFT JOIN token_registry r USING (chain_id, token_address)
WHERE h.user_id = %s AND h.value_usd IS NULL
ORDER BY h.wallet_address, h.chain_id, h.token_address
"""


def read_explanation(
    connection: Connection, user_id: str, operation_id: UUID | None = None, *, at: datetime | None = None
) -> dict[str, Any] | None:
    """The evidence of a portfolio, in the names of the API.

    Args:
        connection: Inside a transaction of one snapshot, so that all it reads fits together.
        user_id: The user.
        operation_id: As that sync left the portfolio; the last one by default.
        at: As of that time; now by default.

    Returns:
        ``None`` if nothing is kept: no sync changed the portfolio yet, or it was too long ago.
    """
    row = connection.exec_driver_sql(_EXPLAIN, {"user": user_id, "operation": operation_id, "at": at}).one_or_none()
    if row is None:
        return None
    operation, stored_at, evidence, tokens, version, total = row
    kept = unpack(bytes(evidence), None if tokens is None else bytes(tokens))
    if operation_id is None and at is None:
        _fill_in(connection, user_id, kept)
    return {
        "userId": user_id,
        "syncOperationId": str(operation),
        "at": rfc3339(stored_at),
        "version": version,
        "totalValueUsd": plain(total),
        **kept,
    }


def _fill_in(connection: Connection, user_id: str, kept: dict[str, Any]) -> None:
    """Adds positions without a price that the evidence leaves out."""
    tokens = {(token["chainId"], token["tokenAddress"]) for token in kept["tokens"]}
    held = {(p["walletAddress"], p["chainId"], p["tokenAddress"]) for p in kept["positions"]}
    for wallet, chain_id, token, symbol, balance, amount, is_spam, reasons, flags, *rest in connection.exec_driver_sql(
        _REST, (user_id,)
    ):
        if (wallet, chain_id, token) in held:
            continue
        reason = not_counted_reason(is_spam=is_spam, value_usd=None, flags=flags)
        kept["positions"].append(
            {
                "walletAddress": wallet,
                "chainId": chain_id,
                "tokenAddress": token,
                "balance": balance,
                "balanceSource": None,
                "block": None,
                "balanceAt": None,
                "amount": None if amount is None else plain(amount),
                "valueUsd": None,
                "isSpam": is_spam,
                "spamReasons": reasons,
                "isCounted": False,
                "notCountedReason": reason,
                "flags": flags,
            }
        )
        if (chain_id, token) not in tokens:
            tokens.add((chain_id, token))
            kept["tokens"].append(_unsaid(chain_id, token, symbol, reasons, flags, *rest))


def _unsaid(
    chain_id: int,
    token: str,
    symbol: str | None,
    suspicions: list[str],
    flags: list[str],
    is_listed: bool,
    coin: str | None,
    lists: list[str] | None,
    answered: dict[str, str] | None,
) -> dict[str, Any]:
    """A token about which no source said anything."""
    asked = answered or {}
    return {
        "chainId": chain_id,
        "tokenAddress": token,
        "symbol": symbol,
        "price": None,
        "quotes": [],
        "answeredNothing": [
            {"source": source, "at": rfc3339(datetime.fromisoformat(at))} for source, at in sorted(asked.items())
        ],
        "notAsked": [source.value for source in ASKED_SOURCES if source.value not in asked],
        "depth": None,
        "listing": {"coingeckoId": coin, "lists": lists or []} if is_listed else None,
        "suspicions": suspicions,
        "flags": flags,
    }


_PRUNE: Final = (
    """
DELETE FROM sync_evidence WHERE sync_operation_id IN (
    SELECT sync_operation_id FROM sync_evidence WHERE stored_at < %s LIMIT 5000)
""",
    # After the syncs that refer to them, which are as old.
    "DELETE FROM batch_evidence WHERE id IN (SELECT id FROM batch_evidence WHERE stored_at < %s LIMIT 5000)",
)


def prune_evidence(engine: Engine, before: datetime) -> Iterator[int]:
    """Deletes evidence stored before a time, chunk by chunk; yields the number of each chunk."""
    for statement in _PRUNE:
        prune = partial(_prune, statement, before)
        while removed := with_lock_timeout(engine, prune):
            yield removed


def _prune(statement: str, before: datetime, connection: Connection) -> int:
    return connection.exec_driver_sql(statement, (before,)).rowcount


def forget_evidence(connection: Connection, user_id: str) -> None:
    """Deletes a user's evidence; it names all of their wallets."""
    connection.exec_driver_sql("DELETE FROM sync_evidence WHERE user_id = %s", (user_id,))
