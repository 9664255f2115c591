"""The answers of the simulated world's contracts to an ``eth_call``."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from moonx_pipeline.simulator.world import World

BALANCE_OF: Final = "0x70a08231"
_DECIMALS: Final = "0x313ce567"
_NAME: Final = "0x06fdde03"
_SYMBOL: Final = "0x95d89b41"
_ASSET: Final = "0x38d52e0f"  # of ERC-4626
_CONVERT_TO_ASSETS: Final = "0x07a2d13a"
_WORD: Final = 64


class Reverted(Exception):
    """The contract refuses the call."""


def wallet_of(data: str) -> str:
    """The wallet in the data of a ``balanceOf``."""
    return f"0x{data[-40:].lower()}"


def contract_answer(world: World, chain_id: int, contract: str, data: str) -> str:
    """The answer in hex; ``0x`` if no contract has the address.

    Raises:
        Reverted: The contract does not know the function, or has no value for it.
    """
    token = world.token(chain_id, contract)
    if token is None or token.is_native:
        return "0x"
    selector = data[:10]
    if selector == BALANCE_OF:
        return _number(world.ledger.balance(wallet_of(data), chain_id, contract))
    if selector == _DECIMALS and isinstance(token.decimals, int) and token.decimals >= 0:
        return _number(token.decimals)
    if (vault := world.vaults.get((chain_id, contract))) is not None and selector in (_ASSET, _CONVERT_TO_ASSETS):
        underlying, rate = vault
        if selector == _ASSET:
            return _number(int(underlying.address, 16))
        shares = int(data[10 : 10 + _WORD], 16)
        return _number(int(shares * rate * Decimal(10) ** ((underlying.decimals or 0) - (token.decimals or 0))))
    text = {_NAME: token.name, _SYMBOL: token.symbol}.get(selector)
    if not isinstance(text, str):
        raise Reverted
    return _text(text.encode("utf-8", "surrogatepass"))


def _number(value: int) -> str:
    return f"0x{value:064x}"


def _text(content: bytes) -> str:
    padded = content.hex().ljust(-(-len(content) * 2 // _WORD) * _WORD, "0")
    return f"0x{32:064x}{len(content):064x}{padded}"
