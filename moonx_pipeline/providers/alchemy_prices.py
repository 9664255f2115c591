"""Alchemy's DEX prices by contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.providers import ALCHEMY_PRICES
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.alchemy_networks import CHAIN_OF_NETWORK, COMPUTE_UNITS, NETWORKS
from moonx_pipeline.providers.alchemy_values import NOTHING, read_quote
from moonx_pipeline.providers.bodies import Checked, by_row
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

_PRICES_A_CALL: Final = 25
_NETWORKS_A_CALL: Final = 3


class _PriceRow(msgspec.Struct, rename="camel"):
    network: str
    address: str
    prices: msgspec.Raw = NOTHING


_Row = TypeVar("_Row")


class _Prices(msgspec.Struct, Generic[_Row], rename="camel"):
    data: list[_Row]


_decode_prices = by_row(
    msgspec.json.Decoder(_Prices[_PriceRow]),
    msgspec.json.Decoder(_Prices[msgspec.Raw]),
    msgspec.json.Decoder(_PriceRow),
)


class AlchemyPrices:
    """Alchemy's price API, a source of prices by contract. One instance a process, shared by its threads."""

    source = PriceSource.ALCHEMY
    breaker = ALCHEMY_PRICES
    tokens_a_call = 100
    most_a_sync = 100  # it costs compute units

    def __init__(self, keys: Mapping[int, str], *, base_url: str, http: HttpClient) -> None:
        """Takes keys and a URL; sends nothing yet.

        Args:
            keys: By chain id; chains without one are not served.
            base_url: Of the price API; the key is appended.
            http: The client, with ``alchemy`` as its provider.
        """
        self._keys = dict(keys)
        self._base_url = base_url
        self._http = http

    def serves(self, chain_id: int) -> bool:
        """Whether there is a key for the chain."""
        return chain_id in self._keys

    def prices(self, keys: Sequence[TokenKey], scope: CallScope) -> dict[TokenKey, Quote]:
        """DEX prices by contract; tokens without one are left out.

        Raises:
            ProviderError: A call failed as a whole.
        """
        found: dict[TokenKey, Quote] = {}
        contracts = [key for key in keys if key.address != NATIVE_TOKEN and self.serves(key.chain_id)]
        for chunk in self._price_chunks(contracts):
            answer = Checked("alchemy", _decode_prices)
            self._http.send(
                Request(
                    "POST",
                    f"{self._base_url}/{self._keys[chunk[0].chain_id]}/tokens/by-address",
                    "prices/by-address",
                    compute_units=COMPUTE_UNITS["prices/by-address"],
                    json={"addresses": [{"network": NETWORKS[key.chain_id], "address": key.address} for key in chunk]},
                ),
                answer,
                scope=scope,
            )
            now = utc_now()
            for row in answer.value.data:
                quote = read_quote(row.prices, now)
                chain_id = CHAIN_OF_NETWORK.get(row.network)
                if quote is not None and chain_id is not None:
                    found[TokenKey(chain_id, row.address.lower())] = quote
        return {key: quote for key, quote in found.items() if key in set(contracts)}

    def _price_chunks(self, keys: Sequence[TokenKey]) -> list[list[TokenKey]]:
        """Groups of at most 25 tokens on at most 3 networks, of one API key each."""
        chunks: list[list[TokenKey]] = []
        for key in sorted(keys, key=lambda key: (self._keys[key.chain_id], key)):
            last = chunks[-1] if chunks else []
            networks = {other.chain_id for other in last} | {key.chain_id}
            same_account = {self._keys[chain_id] for chain_id in networks} == {self._keys[key.chain_id]}
            if last and len(last) < _PRICES_A_CALL and len(networks) <= _NETWORKS_A_CALL and same_account:
                last.append(key)
            else:
                chunks.append([key])
        return chunks
