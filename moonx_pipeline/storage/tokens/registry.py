"""The token registry: which lists name a contract, and the facts of the most trusted list that has them.

Each list's entries are stored separately (``token_registry_entries``), and ``token_registry`` is derived from them
alone. So it is the same in whatever order lists are read, and a list that can't be read changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from moonx_pipeline.domain.token_list import TokenList, trust_of
from moonx_pipeline.registry.snapshot import shipped_lists
from moonx_pipeline.storage.connection.recordset import recordset
from moonx_pipeline.storage.connection.statements import sql_beside

_LOCK: Final = 0x6D6F6F6E72656769


class ListState(NamedTuple):
    """The state of a token list.

    Attributes:
        name: Its name.
        trust: Its place in the order of trust; the lowest goes first.
        version: As last read; ``None`` if it never was.
        tokens: The number of contracts that it names.
        read_at: When it was last read in full.
        asked_at: When it was last asked for.
        error: Why it could not be read then; ``None`` if it could.
    """

    name: str
    trust: int
    version: str | None
    tokens: int
    read_at: datetime | None
    asked_at: datetime
    error: str | None


class ListChange(NamedTuple):
    """What a reading of a list changed, in numbers of contracts."""

    added: int
    removed: int
    renamed: int


_NOTE_READ = """
INSERT INTO token_registry_lists AS l (list, trust, version, tokens, read_at) VALUES (%s, %s, %s, %s, now())
ON CONFLICT (list) DO UPDATE
SET trust = excluded.trust, version = excluded.version, tokens = excluded.tokens, read_at = now(), asked_at = now(),
    error = NULL
"""

_NOTE_FAILURE = """
INSERT INTO token_registry_lists AS l (list, trust, error) VALUES (%s, %s, %s)
ON CONFLICT (list) DO UPDATE SET asked_at = now(), error = excluded.error
"""

_REPLACE_ENTRIES: Final = sql_beside(__file__, "replace_list_entries")

_MERGE: Final = sql_beside(__file__, "merge_registry")

_ALL_CONTRACTS = "SELECT token_address FROM token_registry WHERE chain_id = %s ORDER BY token_address"

_FORGET = "DELETE FROM token_registry_lists WHERE list LIKE '%%://%%' AND NOT (list = ANY(%s)) RETURNING list"

_CONTRACTS = """
SELECT token_address FROM token_registry WHERE chain_id = %s AND coingecko_id = ANY(%s) ORDER BY token_address
"""


def replace_list(connection: Connection, taken: TokenList, *, trust: int) -> ListChange:
    """Replaces a list's stored entries with its present ones.

    Rows that say the same stay untouched. A contract that the list dropped stays while another list names it.

    Args:
        connection: In a transaction, which holds the registry's lock from here to its end.
        taken: The whole list.
        trust: Its place in the order of trust.
    """
    _lock(connection)
    change = _replace_entries(connection, taken, trust)
    connection.exec_driver_sql(_MERGE)
    return change


def note_failure(connection: Connection, name: str, error: str, *, trust: int) -> None:
    """Records why a list could not be read; its entries stay."""
    connection.exec_driver_sql(_NOTE_FAILURE, (name, trust, error))


def forget_lists(connection: Connection, configured: Collection[str]) -> list[str]:
    """Drops lists by URL that are no longer configured, with their entries; returns their names.

    Args:
        connection: In a transaction.
        configured: Names of the configured lists.
    """
    _lock(connection)
    forgotten = sorted(connection.exec_driver_sql(_FORGET, (list(configured),)).scalars())
    if forgotten:
        connection.exec_driver_sql(_MERGE)
    return forgotten


def seed_registry(connection: Connection) -> list[str]:
    """Loads the package's lists that the database lacks or has in another version; returns their names.

    Args:
        connection: In a transaction.
    """
    shipped = [(taken, trust_of(taken.name)) for taken in shipped_lists()]

    def differing() -> list[tuple[TokenList, int]]:
        known = {state.name: (state.version, state.trust) for state in list_states(connection)}
        return [(taken, trust) for taken, trust in shipped if known.get(taken.name) != (taken.version, trust)]

    if not differing():
        return []
    _lock(connection)
    changed = differing()  # another process may just have done it
    for taken, trust in changed:
        _replace_entries(connection, taken, trust)
    connection.exec_driver_sql(_MERGE)
    return [taken.name for taken, _ in changed]


def list_states(connection: Connection) -> list[ListState]:
    """The lists, most trusted first."""
    rows = connection.exec_driver_sql(
        "SELECT list, trust, version, tokens, read_at, asked_at, error FROM token_registry_lists ORDER BY trust, list"
    )
    return [ListState(*row) for row in rows]


def listed_contracts(connection: Connection, chain_id: int) -> list[str]:
    """All contracts on a chain that lists name, in lower case."""
    return list(connection.exec_driver_sql(_ALL_CONTRACTS, (chain_id,)).scalars())


def contracts_of(connection: Connection, chain_id: int, coingecko_ids: Collection[str]) -> list[str]:
    """The contracts of coins on a chain, in lower case."""
    return list(connection.exec_driver_sql(_CONTRACTS, (chain_id, list(coingecko_ids))).scalars())


def _replace_entries(connection: Connection, taken: TokenList, trust: int) -> ListChange:
    connection.exec_driver_sql(_NOTE_READ, (taken.name, trust, taken.version, len(taken.tokens)))
    rows = recordset(token._asdict() for token in taken.tokens)
    return ListChange(*connection.exec_driver_sql(_REPLACE_ENTRIES, {"list": taken.name, "tokens": rows}).one())


def _lock(connection: Connection) -> None:
    """Allows one change at a time: two at once would each derive the registry without the other's additions."""
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
