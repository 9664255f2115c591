"""What earlier syncs stored about wallets and chains, for the fallbacks that need it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.majors import MAJOR_IDS
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.portfolios.holdings import held_tokens, place_in_list
from moonx_pipeline.storage.portfolios.known_tokens import newest_blocks, tokens_shown
from moonx_pipeline.storage.tokens.registry import contracts_of, listed_contracts
from moonx_pipeline.sync.balances.fallback import PlaceInList

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredMemory:
    """A ``Memory`` in the database.

    Attributes:
        engine: The pipeline's database.
        owners: Users by wallet.
        searches: Whether listed tokens are searched: for a new wallet, and for a person who asks.
        gaps: Wallets and chains that are searched besides: what they received is not known up to now.
    """

    engine: Engine
    owners: Mapping[str, str]
    searches: bool
    gaps: Collection[tuple[str, int]] = frozenset()
    _once: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _kept: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def place_in_list(self, wallet: str, chain_id: int) -> PlaceInList:
        """Where the reading of a wallet's list continues."""
        with self._connect() as connection:
            return PlaceInList(*place_in_list(connection, self.owners[wallet], wallet, chain_id))

    def tokens(self, wallet: str, chain_id: int) -> list[str]:
        """Contracts that a wallet may hold: those it held, and major coins."""
        with self._connect() as connection:
            held = held_tokens(connection, self.owners[wallet], wallet, chain_id)
            return [*held, *contracts_of(connection, chain_id, MAJOR_IDS)]

    def newest_block(self, wallet: str, chain_id: int) -> int | None:
        """The newest block at which a wallet was read lately; ``None`` if none is known."""
        return self._of_batch(newest_blocks).get((wallet, chain_id))

    def shown(self, wallet: str, chain_id: int) -> frozenset[str]:
        """The tokens that a wallet held, except spam."""
        return self._of_batch(tokens_shown).get((wallet, chain_id), frozenset())

    def _of_batch(
        self, read: Callable[[Connection, Sequence[str]], dict[tuple[str, int], T]]
    ) -> dict[tuple[str, int], T]:
        """What is stored of all wallets of the batch; nothing if the database is away: what is left to do says so."""
        try:
            return self._read_once(read, lambda connection: read(connection, sorted(set(self.owners.values()))))
        except SQLAlchemyError:
            return {}

    def _read_once(self, name: object, read: Callable[[Connection], T]) -> T:
        """What is read for the whole batch, once: answers of its chains come at the same time."""
        with self._once:
            if name not in self._kept:
                with self._connect() as connection:
                    self._kept[name] = read(connection)
            found: T = self._kept[name]
            return found

    def is_gap(self, wallet: str, chain_id: int) -> bool:
        """Whether it is not known, up to any block that logs reach back to, what a wallet received."""
        return (wallet, chain_id) in self.gaps

    def listed(self, wallet: str, chain_id: int) -> list[str]:
        """Contracts to search besides: those that lists name, if any are searched."""
        if not self.searches and not self.is_gap(wallet, chain_id):
            return []
        # Thousands of rows, the same for each wallet of a batch.
        return self._read_once(chain_id, lambda connection: listed_contracts(connection, chain_id))

    def _connect(self) -> Connection:
        # No transaction around the statements: it would cost two more round trips.
        return autocommit(self.engine)
