"""The tokens of the world and their pools, as they are now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from moonx_pipeline.simulator.pools import Pool, usual_pools
from moonx_pipeline.simulator.rare_tokens import RARE_POOLS, RARE_TOKENS
from moonx_pipeline.simulator.tokens import TOKENS, SimToken, spam_token
from moonx_pipeline.simulator.wallets import SPAM_TOKENS

_Key = tuple[int, str]
_SPAM: Final = {(t.chain_id, t.address): t for t in (spam_token(number) for number in range(SPAM_TOKENS))}
_KNOWN: Final = TOKENS | RARE_TOKENS


class Catalogue:
    """Every token by chain and contract. Other threads may change it while the server's thread reads it.

    Attributes:
        changed: Tokens that were added or changed.
    """

    def __init__(self) -> None:
        self.changed: dict[_Key, SimToken] = {}
        self._pools: dict[_Key, tuple[Pool, ...]] = dict(RARE_POOLS)
        # Both derive from tokens and pools, and are rebuilt after a change.
        self._coins: dict[str, list[SimToken]] | None = None
        self._against: dict[_Key, list[tuple[str, Pool]]] | None = None

    def token(self, chain_id: int, address: str) -> SimToken | None:
        """A token by its contract, spam included."""
        key = (chain_id, address)
        return self.changed.get(key) or _KNOWN.get(key) or _SPAM.get(key)

    def now(self, token: SimToken) -> SimToken:
        """The token as it is now."""
        return self.token(token.chain_id, token.address) or token

    def tokens(self) -> Iterator[SimToken]:
        """Every token that was added or changed, then every other that is not spam."""
        yield from list(self.changed.values())
        yield from (token for key, token in _KNOWN.items() if key not in self.changed)

    def coins(self) -> dict[str, list[SimToken]]:
        """The listed tokens by CoinGecko's id."""
        coins = self._coins
        if coins is None:
            coins = {}
            for token in self.tokens():
                if token.coin:
                    coins.setdefault(token.coin, []).append(token)
            self._coins = coins
        return coins

    def put(self, token: SimToken, pools: tuple[Pool, ...] | None = None) -> SimToken:
        """Adds or replaces a token, with these pools or those that it has."""
        key = (token.chain_id, token.address)
        self.changed[key] = token
        if pools is not None:
            self._pools[key] = pools
        self._coins = self._against = None
        return token

    def pools(self, token: SimToken) -> tuple[Pool, ...]:
        """A token's pools."""
        key = (token.chain_id, token.address)
        if key in self._pools:
            return self._pools[key]
        return usual_pools(token.pool_usd) if token.pool_usd is not None else ()

    def pools_against(self, chain_id: int, address: str) -> Iterator[tuple[SimToken, Pool]]:
        """The pools of other tokens that have this contract on their other side."""
        against = self._against
        if against is None:
            against = {}
            for (chain, contract), pools in list(self._pools.items()):
                for pool in pools:
                    if pool.quote is not None:
                        against.setdefault((chain, pool.quote), []).append((contract, pool))
            self._against = against
        for contract, pool in against.get((chain_id, address), ()):
            owner = self.token(chain_id, contract)
            if owner is not None:
                yield owner, pool
