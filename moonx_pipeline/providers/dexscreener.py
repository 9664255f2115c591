"""DexScreener: the DEX pools of tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.money import parse_change, parse_price
from moonx_pipeline.domain.pools import Pool
from moonx_pipeline.providers.bodies import Checked, by_row, leniently
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

ADDRESSES_A_CALL: Final = 30
_POOLS_AN_ANSWER: Final = 30
_NOTHING: Final = msgspec.Raw(b"null")
_ROUNDS: Final = 4
"""Popular tokens crowd others out of an answer, which has room for some 30 pools: the missing ones are asked for again.
"""


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


class _OddPair(msgspec.Struct, rename="camel"):
    chain_id: str
    base_token: _Token
    quote_token: _Token
    pair_address: msgspec.Raw = _NOTHING
    price_native: msgspec.Raw = _NOTHING
    price_usd: msgspec.Raw = _NOTHING
    liquidity: msgspec.Raw = _NOTHING
    price_change: msgspec.Raw = _NOTHING


_odd_pair: Final = msgspec.json.Decoder(_OddPair)
_text: Final = msgspec.json.Decoder(str)
_number: Final = msgspec.json.Decoder(Decimal)
_liquidity: Final = msgspec.json.Decoder(_Liquidity)
_change: Final = msgspec.json.Decoder(_Change)


class _OddPairs:
    """Pairs that are not as documented: a malformed field is unknown, and the pair still counts as existing."""

    def decode(self, raw: msgspec.Raw) -> _Pair:
        pair = _odd_pair.decode(raw)
        return _Pair(
            pair.chain_id,
            leniently(_text, pair.pair_address),
            pair.base_token,
            pair.quote_token,
            _text_or_number(pair.price_native),
            _text_or_number(pair.price_usd),
            leniently(_liquidity, pair.liquidity),
            leniently(_change, pair.price_change),
        )


def _text_or_number(raw: msgspec.Raw) -> str | None:
    text = leniently(_text, raw)
    number = leniently(_number, raw) if text is None else None
    return text if number is None else str(number)


_decode = by_row(
    msgspec.json.Decoder(list[_Pair] | None),
    msgspec.json.Decoder(list[msgspec.Raw] | None),
    _OddPairs(),
)


class PoolList(NamedTuple):
    """Pools of tokens.

    Attributes:
        pools: The pools in the answers.
        cut: Tokens that may have more pools, since the answer was full.
    """

    pools: list[Pool]
    cut: frozenset[str]


class DexScreener:
    """DexScreener. One instance a process, shared by its threads."""

    def __init__(self, base_url: str, *, http: HttpClient) -> None:
        """Takes DexScreener's URL; sends nothing yet.

        Args:
            base_url: With or without the ``/latest`` of its older API.
            http: The client, with ``dexscreener`` as its provider.
        """
        self._url = re.sub(r"/latest(/dex)?/?$", "", base_url.rstrip("/")) + "/tokens/v1"
        self._http = http

    def pools(self, chain_id: int, addresses: Sequence[str], scope: CallScope) -> PoolList:
        """The pools of tokens; an unreadable pool is left out.

        Args:
            chain_id: Their chain.
            addresses: Lower-case contracts, at most ``ADDRESSES_A_CALL``.
            scope: Deadline and tally.

        Raises:
            ProviderError: DexScreener did not answer.
        """
        found: list[Pool] = []
        cut: set[str] = set()
        asked = list(addresses)
        for _ in range(_ROUNDS):
            pools = self._ask(chain_id, asked, scope)
            found += pools
            seen = {address for pool in pools for address in (pool.base_address, pool.quote_address)}
            missing = [address for address in asked if address not in seen]
            is_full = len(pools) >= _POOLS_AN_ANSWER
            if is_full and len(asked) > 1:
                cut.update(asked)
            else:
                cut.difference_update(asked)
            if not is_full or len(missing) in (0, len(asked)):
                break
            asked = missing
        return PoolList(found, frozenset(cut))

    def _ask(self, chain_id: int, addresses: Sequence[str], scope: CallScope) -> list[Pool]:
        answer = Checked("dexscreener", _decode, chain_id)
        self._http.send(
            Request(
                "GET",
                f"{self._url}/{CHAIN_BY_ID[chain_id].dexscreener_slug}/{','.join(addresses)}",
                "tokens",
                chain_id=chain_id,
            ),
            answer,
            scope=scope,
        )
        pools = [_pool(pair, chain_id) for pair in answer.value or ()]
        return [pool for pool in pools if pool is not None]


def _pool(pair: _Pair, chain_id: int) -> Pool | None:
    """A pool of the chain that was asked about; an address may exist on several. An invalid price is left out."""
    base = pair.base_token.address if pair.base_token else None
    quote = pair.quote_token.address if pair.quote_token else None
    if pair.chain_id != CHAIN_BY_ID[chain_id].dexscreener_slug or not (base and quote):
        return None
    depth = pair.liquidity or _Liquidity()
    return Pool(
        chain_id=chain_id,
        address=(pair.pair_address or f"{base}/{quote}").lower(),
        base_address=base.lower(),
        quote_address=quote.lower(),
        price_usd=_price(pair.price_usd),
        price_native=_price(pair.price_native),
        liquidity_usd=depth.usd,
        liquidity_base=depth.base,
        liquidity_quote=depth.quote,
        change_24h=parse_change(pair.price_change.h24) if pair.price_change else None,
    )


def _price(text: str | None) -> Decimal | None:
    """A price above zero; even a deep pool may have none for a while."""
    try:
        return parse_price(text) or None if text else None
    except ValueError:
        return None
