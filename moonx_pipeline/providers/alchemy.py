"""Alchemy: balances in two ways, and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from moonx_pipeline.domain.holdings import Pair
from moonx_pipeline.domain.portfolio import ChainBalances, TokenInfo
from moonx_pipeline.providers.alchemy_data import (
    BalanceReading,
    Group,
    balances_endpoint,
    plan_groups,
    read_group,
)
from moonx_pipeline.providers.alchemy_networks import COMPUTE_UNITS, NETWORKS
from moonx_pipeline.providers.alchemy_rpc import AlchemyRpc, RpcReading
from moonx_pipeline.providers.bulk_balances import BulkBalances
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope

__all__ = ["Alchemy", "BalanceReading", "Group", "RpcReading"]


class Alchemy:
    """Alchemy with the operator's keys. One instance a process, shared by its threads."""

    def __init__(
        self,
        keys: Mapping[int, str],
        *,
        data_base_url: str,
        rpc_url_template: str,
        http: HttpClient,
        max_pages: int,
    ) -> None:
        """Takes keys and URLs; sends nothing yet.

        Args:
            keys: By chain id; chains without one are not served.
            data_base_url: Of the token data API; the key is appended.
            rpc_url_template: With ``{network}`` and ``{api_key}``.
            http: The client, with ``alchemy`` as its provider.
            max_pages: The most pages of one list to read at once.
        """
        self._keys = dict(keys)
        self._data_base_url = data_base_url
        self._http = http
        self._max_pages = max_pages
        self._rpc = {
            chain_id: AlchemyRpc(
                chain_id, rpc_url_template.format(network=NETWORKS[chain_id], api_key=key), http, max_pages
            )
            for chain_id, key in self._keys.items()
        }

    def serves(self, chain_id: int) -> bool:
        """Whether there is a key for the chain."""
        return chain_id in self._keys

    def plan_requests(self, pairs: Iterable[Pair], *, with_metadata: bool) -> list[list[tuple[str, list[int]]]]:
        """Packs wallets and chains into as few calls as the API allows; chains of one call share a key."""
        by_key: dict[str, list[Pair]] = {}
        for wallet, chain_id in pairs:
            by_key.setdefault(self._keys[chain_id], []).append((wallet, chain_id))
        return [group for mine in by_key.values() for group in plan_groups(mine, with_metadata=with_metadata)]

    def room(self, *, with_metadata: bool) -> int:
        """How many groups can be reserved together at most."""
        return self._http.room(COMPUTE_UNITS[balances_endpoint(with_metadata=with_metadata)])

    def reserve(self, groups: int, *, with_metadata: bool) -> datetime | None:
        """Reserves permits for groups that are read now; see ``RateLimiter.reserve``.

        Raises:
            RateLimited: There is no room for them now.
        """
        units = COMPUTE_UNITS[balances_endpoint(with_metadata=with_metadata)]
        return self._http.reserve(groups, compute_units=units * groups)

    def read_balances(
        self, group: Group, *, with_metadata: bool, scope: CallScope, slot: datetime | None = None
    ) -> BalanceReading:
        """Reads one group of ``plan_requests``, all pages; the permit of the first page may be reserved.

        Raises:
            ProviderError: No list of the group is known to be whole.
        """
        key = self._keys[group[0][1][0]]
        return read_group(
            self._http,
            f"{self._data_base_url}/{key}",
            group,
            with_metadata=with_metadata,
            max_pages=self._max_pages,
            scope=scope,
            slot=slot,
        )

    def bulk(self, chain_id: int) -> BulkBalances:
        """Bulk reading of balances by the JSON-RPC of a chain."""
        return self._rpc[chain_id].bulk

    def calls_room(self, methods: Sequence[str]) -> int:
        """How many times calls of these methods can be reserved together at most."""
        return max(1, self._http.room(sum(map(COMPUTE_UNITS.__getitem__, methods))) // len(methods))

    def reserve_calls(self, methods: Sequence[str], times: int) -> datetime | None:
        """Reserves permits for JSON-RPC calls that are made now; see ``RateLimiter.reserve``.

        Raises:
            RateLimited: There is no room for them now.
        """
        units = sum(map(COMPUTE_UNITS.__getitem__, methods))
        return self._http.reserve(len(methods) * times, compute_units=units * times)

    def rpc_balances(
        self, wallet: str, chain_id: int, scope: CallScope, *, resume_key: str | None = None
    ) -> RpcReading:
        """Reads one wallet on one chain by JSON-RPC, page by page; see ``AlchemyRpc.balances``.

        Raises:
            ProviderError: Nothing of it could be read.
        """
        return self._rpc[chain_id].balances(wallet, scope, resume_key)

    def token_balances(self, wallet: str, chain_id: int, contracts: Sequence[str], scope: CallScope) -> ChainBalances:
        """Reads single tokens of one wallet by JSON-RPC.

        Raises:
            ProviderError: A request failed as a whole.
        """
        return self._rpc[chain_id].token_balances(wallet, contracts, scope)

    def token_metadata(self, chain_id: int, contracts: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Names and decimals of tokens; what Alchemy does not know now is ``None``, and a token it put off is absent.

        Raises:
            ProviderError: A request failed as a whole.
        """
        return self._rpc[chain_id].metadata(contracts, scope)

    def contract_info(self, chain_id: int, contracts: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Symbol, name and decimals from the contracts themselves: the fallback of ``token_metadata``.

        It costs three calls of 26 compute units a token. Every token has an entry; what its contract does not give
        is ``None``.

        Raises:
            ProviderError: Alchemy did not answer.
        """
        return self._rpc[chain_id].contract_info(contracts, scope)
