"""DefiLlama's coins API: prices of tokens by contract, without a key; the second opinion for operators without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Generic, TypeVar

import msgspec

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.money import parse_price
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.providers import DEFILLAMA
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.providers.bodies import Checked, by_row, read_time
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

TOKENS_A_CALL: Final = 60
"""The tokens are in the path: with more of them proxies refuse it as too long."""

LEAST_CONFIDENCE: Final = Decimal("0.5")
"""A price with less confidence by DefiLlama itself is ignored."""


class _Coin(msgspec.Struct):
    price: Decimal | None = None
    timestamp: Decimal | None = None
    confidence: Decimal | None = None


_T = TypeVar("_T")


class _Coins(msgspec.Struct, Generic[_T]):
    coins: dict[str, _T]


_decode = by_row(
    msgspec.json.Decoder(_Coins[_Coin]), msgspec.json.Decoder(_Coins[msgspec.Raw]), msgspec.json.Decoder(_Coin)
)


class DefiLlama:
    """DefiLlama, a source of prices by contract. One instance a process, shared by its threads."""

    source = PriceSource.DEFILLAMA
    breaker = DEFILLAMA.id
    tokens_a_call = TOKENS_A_CALL
    most_a_sync = 300

    def __init__(self, base_url: str, *, http: HttpClient) -> None:
        """Takes DefiLlama's URL; sends nothing yet.

        Args:
            base_url: Such as ``https://coins.llama.fi``.
            http: The client, with ``defillama`` as its provider.
        """
        self._url = f"{base_url.rstrip('/')}/prices/current"
        self._http = http

    def serves(self, chain_id: int) -> bool:
        """Whether it knows a chain."""
        return chain_id in CHAIN_BY_ID

    def prices(self, keys: Sequence[TokenKey], scope: CallScope) -> dict[TokenKey, Quote]:
        """Prices by contract; tokens without one are left out.

        Args:
            keys: Tokens of any chain, at most ``TOKENS_A_CALL``; a native coin is asked for by its wrapped form.
            scope: Deadline and tally.

        Raises:
            ProviderError: DefiLlama did not answer.
        """
        names = {key: _name_of(key) for key in keys}
        answer = Checked("defillama", _decode)
        self._http.send(
            Request("GET", f"{self._url}/{','.join(dict.fromkeys(names.values()))}", "prices/current"),
            answer,
            scope=scope,
        )
        now = utc_now()
        coins = {name.lower(): coin for name, coin in answer.value.coins.items()}
        quotes = {key: _quote(coins, name, now) for key, name in names.items()}
        return {key: quote for key, quote in quotes.items() if quote is not None}


def _name_of(key: TokenKey) -> str:
    chain = CHAIN_BY_ID[key.chain_id]
    return f"{chain.defillama_name}:{chain.wrapped_native if key.address == NATIVE_TOKEN else key.address}"


def _quote(coins: Mapping[str, _Coin], name: str, now: datetime) -> Quote | None:
    coin = coins.get(name)
    if coin is None or coin.price is None:
        return None
    if coin.confidence is not None and coin.confidence < LEAST_CONFIDENCE:
        return None
    try:
        usd = parse_price(coin.price)
    except ValueError:
        return None
    return Quote(PriceSource.DEFILLAMA, usd, read_time(coin.timestamp), now) if usd else None
