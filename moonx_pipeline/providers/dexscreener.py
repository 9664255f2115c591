"""DexScreener: the DEX pools of tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from moonx_pipeline.domain.money import parse_price
from moonx_pipeline.domain.pools import Pool
from moonx_pipeline.providers.bodies import checked
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope

_CHAINS: Final = {1: "ethereum", 137: "polygon", 10: "optimism", 42161: "arbitrum", 8453: "base"}
_ADDRESSES_A_CALL: Final = 30
_POOLS_A_CALL: Final = 30
_ROUNDS: Final = 4
"""Popular tokens push others out of an answer, which has room for some 30 pools: those are asked for again."""


class _Token(msgspec.Struct):
    address: str | None = None


class _Liquidity(msgspec.Struct):
    usd: Decimal | None = None
    base: Decimal | None = None
    quote: Decimal | None = None


class _Change(msgspec.Struct):
    h24: Decimal | None = None


class _Pair(msgspec.Struct, rename="camel"):
    chain_id: str | None = None
    pair_address: str | None = None
    base_token: _Token | None = None
    quote_token: _Token | None = None
    price_native: str | None = None
    price_usd: str | None = None
    liquidity: _Liquidity | None = None
    price_change: _Change | None = None


_decode = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_decode_pair = msgspec.json.Decoder(_Pair).decode


class DexScreener:
    """DexScreener. One instance a process, shared by its threads."""

    def __init__(self, base_url: str, *, http: HttpClient) -> None:
        """Takes where DexScreener is; nothing is sent yet.

        Args:
            base_url: With or without the ``/latest`` of its older API.
            http: Connections, whose provider is ``dexscreener``.
        """
        self._url = re.sub(r"/latest(/dex)?/?$", "", base_url.rstrip("/")) + "/tokens/v1"
        self._http = http

    def pools(self, chain_id: int, addresses: Sequence[str], scope: CallScope) -> list[Pool]:
        """The pools of tokens; one that can't be understood is left out.

        Args:
            chain_id: Their chain.
            addresses: Lower-case contracts; more than 30 are asked for in several calls.
            scope: Deadline and tally.

        Raises:
            ProviderError: DexScreener did not answer.
        """
        found: list[Pool] = []
        for start in range(0, len(addresses), _ADDRESSES_A_CALL):
            asked = list(addresses[start : start + _ADDRESSES_A_CALL])
            for _ in range(_ROUNDS):
                pools = self._ask(chain_id, asked, scope)
                found += pools
                seen = {address for pool in pools for address in (pool.base_address, pool.quote_address)}
                missing = [address for address in asked if address not in seen]
                if len(pools) < _POOLS_A_CALL or len(missing) in (0, len(asked)):
                    break
                asked = missing
        return found

    def _ask(self, chain_id: int, addresses: Sequence[str], scope: CallScope) -> list[Pool]:
        body = self._http.send(
            "GET",
            f"{self._url}/{_CHAINS[chain_id]}/{','.join(addresses)}",
            scope=scope,
            endpoint="tokens",
            chain_id=chain_id,
            classify=checked("dexscreener", _decode, chain_id),
        )
        pools = [_pool(raw, chain_id) for raw in _decode(body) or ()]
        return [pool for pool in pools if pool is not None]


def _pool(raw: msgspec.Raw, chain_id: int) -> Pool | None:
    """A pool of the chain that was asked about; an address may live on several."""
    try:
        pair = _decode_pair(raw)
        price_usd = parse_price(pair.price_usd) if pair.price_usd else None
        price_native = parse_price(pair.price_native) if pair.price_native else None
    except (msgspec.MsgspecError, ValueError):
        return None
    base = pair.base_token.address if pair.base_token else None
    quote = pair.quote_token.address if pair.quote_token else None
    if pair.chain_id != _CHAINS[chain_id] or not (pair.pair_address and base and quote):
        return None
    depth = pair.liquidity or _Liquidity()
    return Pool(
        chain_id=chain_id,
        address=pair.pair_address.lower(),
        base_address=base.lower(),
        quote_address=quote.lower(),
        price_usd=price_usd,
        price_native=price_native,
        liquidity_usd=depth.usd,
        liquidity_base=depth.base,
        liquidity_quote=depth.quote,
        change_24h=pair.price_change.h24 if pair.price_change else None,
    )
