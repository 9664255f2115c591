"""How Alchemy writes one token, the compute units of its calls, and faults of a row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from moonx_pipeline.simulator.spoiling import Spoiled
from moonx_pipeline.simulator.tokens import SimToken

# From Alchemy's price list (https://www.alchemy.com/docs/reference/compute-unit-costs).
COMPUTE_UNITS: Final = {
    "tokens/by-address": 360,
    "balances/by-address": 200,
    "prices/by-address": 40,
    "prices/by-symbol": 40,
    "alchemy_getTokenBalances": 20,
    "alchemy_getTokenMetadata": 10,
    "eth_blockNumber": 10,
    "eth_call": 26,
    "eth_chainId": 0,
    "eth_getBalance": 20,
    "eth_getLogs": 60,
}

_FLOAT_DECIMALS: Final = Decimal("1.157920892373162e+77")


def hex_balance(balance: int, style: int) -> str:
    """A balance in one of Alchemy's three notations: padded, minimal, or of even length."""
    if style % 3 == 0:
        return f"0x{balance:064x}"
    text = f"{balance:x}"
    return "0x" + (text if style % 3 == 1 or len(text) % 2 == 0 else "0" + text)


def three_words(balance: int) -> str:
    """The answer of a contract whose ``balanceOf`` returns more than the balance."""
    return f"0x{balance:064x}{7:064x}{1_700_000_000:064x}"


def spoiled_row(token: SimToken, balance: int, number: int, spoiled: Spoiled) -> dict[str, Any]:
    """The fields of a row that faults change.

    Args:
        token: The row's token.
        balance: The right balance.
        number: The row's number in the wallet's list of the chain; the native coin has 0.
        spoiled: The faults of the answer.
    """
    fields: dict[str, Any] = {}
    if spoiled.in_row("0x_balance", token, number, usual=0):
        fields["tokenBalance"] = "0x"
    if spoiled.in_row("three_word_balance", token, number):
        fields["tokenBalance"] = three_words(balance)
    failed = spoiled.in_row("token_error", token, number)
    if failed:
        fields |= {"tokenBalance": None, "error": failed.params.get("message", "execution reverted")}
    return fields


def spoiled_metadata(token: SimToken, spoiled: Spoiled, *, in_list: bool) -> dict[str, Any]:
    """Name, symbol, decimals and logo as Alchemy gives them.

    Args:
        token: The token.
        spoiled: The faults of the answer.
        in_list: Whether it is in a list of tokens, which has no metadata of the native coin.
    """
    unnamed = (in_list and token.is_native and not spoiled.has("named_native")) or spoiled.has("null_metadata", token)
    if unnamed:
        return {"symbol": None, "decimals": None, "name": None, "logo": None}
    metadata = {"symbol": token.symbol, "decimals": token.decimals, "name": token.name, "logo": token.logo}
    if token.is_native:
        return metadata
    odd = spoiled.of("odd_decimals", token)
    if odd:
        metadata["decimals"] = odd.params.get("value", _FLOAT_DECIMALS)
    if spoiled.has("null_decimals", token):
        metadata["decimals"] = None
    lone = spoiled.of("lone_surrogate", token)
    if lone:
        field = lone.params.get("field", "name")
        metadata[field] = f"{metadata[field] or ''}\ud800"
    return metadata
