"""What every wallet holds now, and its rows in lists."""

from __future__ import annotations

from typing import Any

from moonx_pipeline.simulator.catalogue import Catalogue
from moonx_pipeline.simulator.networks import CHAINS, NATIVE_TOKEN
from moonx_pipeline.simulator.tokens import TOKENS, SimToken
from moonx_pipeline.simulator.wallets import Holding, initial_holdings


class Ledger:
    """Balances by wallet and chain.

    Attributes:
        blocks: Number of each chain's newest block.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.blocks = {chain.id: chain.block for chain in CHAINS}
        self._catalogue = catalogue
        self._changed: dict[tuple[str, int, str], int] = {}
        self._extra: dict[tuple[str, int], dict[str, Holding]] = {}
        self._rows: dict[tuple[str, int, str], dict[str, Any]] = {}
        self.destroyed: set[tuple[int, str]] = set()
        self._received: dict[int, list[tuple[int, str, str, int]]] = {}

    def holdings(self, wallet: str, chain_id: int) -> list[Holding]:
        """A wallet's holdings on a chain; a removed balance stays as 0, as in real lists."""
        held = initial_holdings(wallet).get(chain_id, [])
        changed = self._catalogue.changed
        if not (self._changed or self._extra or changed):
            return held
        extra = self._extra.get((wallet, chain_id), {})
        now = [Holding(t, self._changed.get((wallet, chain_id, t.address), balance)) for t, balance in held]
        now += extra.values()
        if not changed:
            return now
        return [Holding(changed.get((chain_id, token.address), token), balance) for token, balance in now]

    def rows(self, wallet: str, chain_id: int) -> list[Holding]:
        """The same as lists show it: the native coin always has a row, even with a balance of 0."""
        held = self.holdings(wallet, chain_id)
        if any(holding.token.is_native for holding in held):
            return held
        return [Holding(TOKENS[chain_id, NATIVE_TOKEN], 0), *held]

    def balance(self, wallet: str, chain_id: int, address: str) -> int:
        """A wallet's balance of one contract, in its smallest unit."""
        return sum(h.balance for h in self.holdings(wallet, chain_id) if h.token.address == address)

    def set_balance(self, wallet: str, token: SimToken, balance: int, *, logged: bool = True) -> None:
        """Sets a wallet's balance of a token, in a new block; what it gets more has a log."""
        more = balance - self.balance(wallet, token.chain_id, token.address)
        held = {holding.token.address for holding in initial_holdings(wallet).get(token.chain_id, [])}
        if token.address in held:
            self._changed[wallet, token.chain_id, token.address] = balance
        else:
            self._extra.setdefault((wallet, token.chain_id), {})[token.address] = Holding(token, balance)
        self.blocks[token.chain_id] += 1
        if logged and more > 0 and not token.is_native:
            log = (self.blocks[token.chain_id], wallet, token.address, more)
            self._received.setdefault(token.chain_id, []).append(log)

    def received(self, chain_id: int) -> list[tuple[int, str, str, int]]:
        """Block, wallet, contract and amount of each transfer to a wallet that a log tells of."""
        return list(self._received.get(chain_id, ()))

    def write_row(self, wallet: str, token: SimToken, fields: dict[str, Any]) -> None:
        """Overwrites fields of a wallet's row of a token in lists."""
        self._rows[wallet, token.chain_id, token.address] = fields

    def row(self, wallet: str, token: SimToken) -> dict[str, Any]:
        """The overwritten fields of a row."""
        if (token.chain_id, token.address) in self.destroyed:
            return {"tokenBalance": "0x"}
        return self._rows.get((wallet, token.chain_id, token.address), {})
