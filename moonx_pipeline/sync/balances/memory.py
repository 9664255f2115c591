"""What earlier syncs stored about wallets and chains, for the fallbacks that need it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.majors import MAJOR_IDS
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.portfolios.holdings import held_tokens, place_in_list
from moonx_pipeline.storage.portfolios.known_tokens import newest_blocks
from moonx_pipeline.storage.tokens.registry import contracts_of, listed_contracts
from moonx_pipeline.sync.balances.fallback import PlaceInList


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
    _listed: dict[int, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _newest: list[Mapping[tuple[str, int], int]] = field(default_factory=list, init=False, repr=False, compare=False)

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
        if not self._newest:  # of all wallets of a batch, once
            try:
                with self._connect() as connection:
                    self._newest.append(newest_blocks(connection, sorted(set(self.owners.values()))))
            except SQLAlchemyError:
                return None  # what is left to do needs the database, and says so
        return self._newest[0].get((wallet, chain_id))

    def is_gap(self, wallet: str, chain_id: int) -> bool:
        """Whether it is not known, up to any block that logs reach back to, what a wallet received."""
        return (wallet, chain_id) in self.gaps

    def listed(self, wallet: str, chain_id: int) -> list[str]:
        """Contracts to search besides: those that lists name, if any are searched."""
        if not self.searches and not self.is_gap(wallet, chain_id):
            return []
        if chain_id not in self._listed:  # thousands of rows, the same for each wallet of a batch
            with self._connect() as connection:
                self._listed[chain_id] = listed_contracts(connection, chain_id)
        return self._listed[chain_id]

    def _connect(self) -> Connection:
        # No transaction around the statements: it would cost two more round trips.
        return autocommit(self.engine)
