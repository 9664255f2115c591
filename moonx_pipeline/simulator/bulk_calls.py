"""Answers to bulk readings: code in a state override that reads balances, and logs of transfers.

The simulator runs no EVM code. It knows the call by its shape: code for the address that is called, and data of pairs
of 20-byte addresses, a wallet and a token. After a token 1, whose wallet is a selector, that function is asked.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from moonx_pipeline.simulator.contracts import BALANCE_OF, Reverted, contract_answer
from moonx_pipeline.simulator.networks import NATIVE_TOKEN
from moonx_pipeline.simulator.world import World

_TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_COIN: Final = "0x" + "0" * 40
_SELECTS: Final = f"0x{1:040x}"
_PAIR: Final = 80
_WORD: Final = 66


class Asked(NamedTuple):
    """A question of a bulk reading: a contract, a function and its argument of 20 bytes, all in hex."""

    contract: str
    selector: str
    argument: str


def asked_in(call: dict[str, Any]) -> list[Asked] | None:
    """What a call reads in bulk; ``None`` if it is no such call."""
    params = call.get("params") or []
    if call["method"] != "eth_call" or len(params) != 3 or "code" not in params[2].get(params[0].get("to"), {}):
        return None
    data, selector, asked = params[0]["data"][2:].lower(), BALANCE_OF, []
    for at in range(0, len(data) - _PAIR + 1, _PAIR):
        argument, contract = f"0x{data[at : at + 40]}", f"0x{data[at + 40 : at + _PAIR]}"
        if contract == _SELECTS:
            selector = f"0x{argument[-8:]}"
        else:
            asked.append(Asked(contract, selector, argument))
    return asked


def pairs_in(call: dict[str, Any]) -> list[tuple[str, str]] | None:
    """The wallets and tokens whose balances a call reads in bulk; ``None`` if it is no such call."""
    asked = asked_in(call)
    return None if asked is None else [(one.argument, one.contract) for one in asked if one.selector == BALANCE_OF]


def bulk_answer(world: World, chain_id: int, asked: list[Asked]) -> str:
    """The block, its parent's hash, and a row a question: a status and a number."""
    block = world.blocks[chain_id]
    parent = hashlib.sha256(f"{chain_id}:{block - 1}".encode()).hexdigest()
    held: dict[str, dict[str, int]] = {}
    rows = [f"{block:064x}{parent}"]
    for token, selector, wallet in asked:
        if selector != BALANCE_OF:
            rows.append(_odd_row(world, chain_id, token, selector, wallet))
            continue
        if wallet not in held:
            held[wallet] = {h.token.address: h.balance for h in world.holdings(wallet, chain_id)}
        known = world.token(chain_id, token)
        if token == _COIN:
            rows.append(f"01{held[wallet].get(NATIVE_TOKEN, 0):064x}")
        elif (chain_id, token) in world.ledger.destroyed:
            rows.append(f"02{0:064x}")
        elif known is not None and not known.is_native:
            rows.append(f"01{held[wallet].get(token, 0):064x}")
        else:
            rows.append(_odd_row(world, chain_id, token, selector, wallet))
    return "0x" + "".join(rows)


def _odd_row(world: World, chain_id: int, contract: str, selector: str, argument: str) -> str:
    try:
        said = contract_answer(world, chain_id, contract, f"{selector}{argument[2:]:0>64}")
    except Reverted:
        return "00" + "0" * 64
    return f"01{said[2:_WORD]}" if len(said) >= _WORD else "02" + "0" * 64


def transfer_logs(world: World, chain_id: int, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """The logs of what wallets received in a range of blocks."""
    first, last = (_block(wanted.get(name, "latest"), world.blocks[chain_id]) for name in ("fromBlock", "toBlock"))
    topics = [*wanted.get("topics", []), None, None, None]
    receivers = {f"0x{topic[-40:].lower()}" for topic in topics[2] or ()}
    if topics[0] != _TRANSFER:
        return []
    return [
        {
            "address": token,
            "topics": [_TRANSFER, "0x" + "0" * 64, f"0x{wallet[2:]:0>64}"],
            "data": f"0x{amount:064x}",
            "blockNumber": hex(block),
            "removed": False,
        }
        for block, wallet, token, amount in world.ledger.received(chain_id)
        if first <= block <= last and wallet in receivers
    ]


def _block(name: str, newest: int) -> int:
    return int(name, 16) if name.startswith("0x") else newest
