"""DexScreener's pools."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moonx_pipeline.simulator.answering import Simulation, answer
from moonx_pipeline.simulator.encoding import checksummed, json_answer
from moonx_pipeline.simulator.faults import EMPTY_FAULTS, QUOTE_FAULTS
from moonx_pipeline.simulator.market import divided, plain
from moonx_pipeline.simulator.networks import CHAIN_BY_ID, CHAIN_OF_DEX, NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.simulator.pools import AT_MARKET, Pool
from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.tokens import SimToken, derived_address

_ADDRESSES_A_CALL: Final = 30
_POOLS_AN_ANSWER: Final = 30
_UNPRICED_SIDE: Final = Decimal(3_000_000)
"""The amount of tokens on a pool's other side if nobody knows their price."""

_KINDS: Final = EMPTY_FAULTS | QUOTE_FAULTS | {"no_liquidity"}


class DexScreenerRoutes:
    """The routes over one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def routes(self) -> list[Route]:
        return [
            Route("/dexscreener/tokens/v1/{chain}/{addresses}", self.pools),
            Route("/dexscreener/latest/dex/tokens/{addresses}", self.pools_of_all_chains),
        ]

    async def pools(self, request: Request) -> Response:
        chain = request.path_params["chain"]
        addresses = _addresses(request)

        def good() -> Response:
            if len(addresses) > _ADDRESSES_A_CALL or chain not in CHAIN_OF_DEX:
                return Response("bad request", 400)
            spoiled = self._sim.spoiled("dexscreener", "tokens", _KINDS, networks={chain}, tokens=set(addresses))
            if spoiled.has("null_answer"):
                return json_answer(None)
            return json_answer(self._pairs([chain], addresses, spoiled))

        return await answer(self._sim, "dexscreener", "tokens", good, networks={chain})

    async def pools_of_all_chains(self, request: Request) -> Response:
        addresses = _addresses(request)

        def good() -> Response:
            spoiled = self._sim.spoiled("dexscreener", "latest/dex/tokens", _KINDS, tokens=set(addresses))
            if spoiled.has("null_answer"):
                return json_answer(None)
            pairs = self._pairs(list(CHAIN_OF_DEX), addresses, spoiled)
            return json_answer({"schemaVersion": "1.0.0", "pairs": pairs or None})

        return await answer(self._sim, "dexscreener", "latest/dex/tokens", good)

    def _pairs(self, chains: list[str], addresses: list[str], spoiled: Spoiled) -> list[dict[str, Any]]:
        """The pools with a contract on either side, as many as fit into an answer."""
        if spoiled.has("empty_answer"):
            return []
        world = self._sim.world
        pairs: dict[str, dict[str, Any]] = {}
        for name in chains:
            chain_id = CHAIN_OF_DEX[name].id
            for address in addresses:
                token = world.token(chain_id, address)
                found = (
                    [(token, pool) for pool in world.catalogue.pools(token)] if token and not token.is_native else []
                )
                other_side = NATIVE_TOKEN if address == ZERO_ADDRESS else address
                for owner, pool in [*found, *world.catalogue.pools_against(chain_id, other_side)]:
                    pair = self._pair(name, owner, pool, spoiled)
                    pairs.setdefault(pair["pairAddress"], pair)
        return list(pairs.values())[:_POOLS_AN_ANSWER]

    def _pair(self, chain: str, token: SimToken, pool: Pool, spoiled: Spoiled) -> dict[str, Any]:
        other, other_usd = self._other_side(token, pool)
        quote = spoiled.quote(self._sim.world.quote("dexscreener", token), token)
        usd = quote.price * pool.price_factor if quote else Decimal(0)
        pair: dict[str, Any] = {
            "chainId": chain,
            "dexId": "uniswap",
            "url": f"https://dexscreener.com/{chain}/{_pool_id(token, pool)}",
            "pairAddress": _pool_id(token, pool),
            "labels": [pool.version],
            "baseToken": {"address": checksummed(token.address), "name": token.name, "symbol": token.symbol},
            "quoteToken": {**other, "address": checksummed(other["address"])},
            "priceNative": plain(divided(usd, other_usd)) if other_usd else "0.0005",
            "txns": {"h24": {"buys": 120, "sells": 98}},
            "volume": {"h24": pool.volume_usd},
            "priceChange": {"h24": quote.change_percent if quote else Decimal(0)},
            "liquidity": _liquidity(pool, usd, other_usd),
            "pairCreatedAt": 1700000000000,
        }
        said = plain(usd) if pool.price_usd == AT_MARKET and quote else pool.price_usd
        if said is not None and said != AT_MARKET:
            pair["priceUsd"] = said
        return _spoiled_pair(pair, token, spoiled)

    def _other_side(self, token: SimToken, pool: Pool) -> tuple[dict[str, Any], Decimal | None]:
        """The token on the other side as DexScreener writes it, and its price in USD."""
        chain, world = CHAIN_BY_ID[token.chain_id], self._sim.world
        if pool.quote is None:
            wrapped = {"address": chain.wrapped_coin, "name": "Wrapped", "symbol": f"W{chain.coin}"}
            return wrapped, world.prices[chain.coin]
        if pool.quote == NATIVE_TOKEN:
            return {"address": ZERO_ADDRESS, "name": chain.coin_name, "symbol": chain.coin}, world.prices[chain.coin]
        other = world.token(token.chain_id, pool.quote)
        if other is None:
            return {"address": pool.quote, "name": None, "symbol": None}, None
        return {"address": other.address, "name": other.name, "symbol": other.symbol}, world.usd(other)


def _liquidity(pool: Pool, usd: Decimal, other_usd: Decimal | None) -> dict[str, Any] | None:
    if pool.depth_usd is None:
        return None
    # A scam's own side is worth what its maker claims: only the other side shows a pool's value.
    depth = Decimal(pool.depth_usd)
    return {
        "usd": depth * 2,
        "base": divided(depth, usd) if usd else 0,
        "quote": divided(depth, other_usd) if other_usd else _UNPRICED_SIDE,
    }


def _spoiled_pair(pair: dict[str, Any], token: SimToken, spoiled: Spoiled) -> dict[str, Any]:
    if pair["liquidity"] is None or spoiled.has("no_liquidity", token):
        del pair["liquidity"]
    if spoiled.has("zero_price", token):
        pair["priceUsd"] = "0"
    missing = spoiled.of("no_price", token)
    if missing:
        pair["priceUsd"] = None
    if missing and missing.params.get("absent"):
        del pair["priceUsd"]
    return pair


def _pool_id(token: SimToken, pool: Pool) -> str:
    label = f"pool:{token.chain_id}:{token.address}:{pool.depth_usd}:{pool.quote}:{pool.version}"
    if pool.version == "v4":  # its pools are entries of one contract, identified by a hash
        return "0x" + hashlib.sha256(label.encode()).hexdigest()
    return checksummed(derived_address(label))


def _addresses(request: Request) -> list[str]:
    return [address.lower() for address in request.path_params["addresses"].split(",")]
