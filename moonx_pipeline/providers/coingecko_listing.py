"""CoinGecko's listing of coins: which contracts it prices, by which id."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from moonx_pipeline.domain.chains import KNOWN_CHAINS
from moonx_pipeline.domain.token_list import COINGECKO_LIST, ListedToken, TokenList, fingerprint
from moonx_pipeline.providers.bodies import Checked, by_row
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.token_lists import bounded, listed_token, once_each

_COIN_ID: Final = re.compile(r"[^\s,\0]{1,200}")
"""Ids are sent separated by commas."""

_CHAIN_IDS: Final = {chain.coingecko_platform: chain.id for chain in KNOWN_CHAINS}


class _Coin(msgspec.Struct):
    id: Any = None
    symbol: Any = None
    name: Any = None
    platforms: Any = None


_decode = by_row(
    msgspec.json.Decoder(list[_Coin]), msgspec.json.Decoder(list[msgspec.Raw]), msgspec.json.Decoder(_Coin)
)


class CoinGeckoListing:
    """The list of all coins with their contracts: one call of several megabytes, with or without a key."""

    def __init__(self, base_url: str, *, http: HttpClient) -> None:
        """Takes CoinGecko's URL; sends nothing yet.

        Args:
            base_url: Such as ``https://api.coingecko.com/api/v3``.
            http: The client, with ``coingecko`` as its provider and the key in its headers, if there is one.
        """
        self._url = f"{base_url.rstrip('/')}/coins/list"
        self._http = http

    def read(self, scope: CallScope) -> TokenList:
        """The contracts of all coins on our chains.

        Raises:
            ProviderError: CoinGecko did not answer, or not with a list of coins.
        """
        body = self._http.send(
            Request("GET", self._url, "coins_list", params={"include_platform": "true"}),
            Checked(self._http.provider, _decode),
            scope=scope,
        )
        tokens = parse_listing(body)
        return TokenList(COINGECKO_LIST, fingerprint(tokens), tokens)


def parse_listing(body: bytes) -> tuple[ListedToken, ...]:
    """The contracts of a listing.

    Raises:
        msgspec.MsgspecError: It is no list of coins.
        Oversized: It has too many rows.
    """
    coins = bounded(_decode(body), COINGECKO_LIST)
    return once_each(
        # A row on no chain of ours, or with an empty contract, is no token.
        listed_token(_CHAIN_IDS.get(platform), address, symbol=coin.symbol, name=coin.name, coingecko_id=coin.id)
        for coin in coins
        if isinstance(coin.id, str) and _COIN_ID.fullmatch(coin.id) and isinstance(coin.platforms, dict)
        for platform, address in coin.platforms.items()
    )
