"""The evidence for a part of a portfolio."""

from __future__ import annotations

from typing import Any


def narrowed(
    explanation: dict[str, Any], *, wallet: str | None = None, chain_id: int | None = None, token: str | None = None
) -> dict[str, Any]:
    """Filters an explanation to matching positions and their tokens; the total stays the whole portfolio's.

    Args:
        explanation: An explanation from ``storage.syncs.evidence_log``.
        wallet: Lower-case address; ``None`` for all wallets.
        chain_id: ``None`` for all chains.
        token: Lower-case address of the contract; ``None`` for all tokens.
    """
    wanted = {"walletAddress": wallet, "chainId": chain_id, "tokenAddress": token}
    given = [(name, value) for name, value in wanted.items() if value is not None]
    positions = [p for p in explanation["positions"] if all(p[name] == value for name, value in given)]
    held = {(p["chainId"], p["tokenAddress"]) for p in positions}
    tokens = [t for t in explanation["tokens"] if (t["chainId"], t["tokenAddress"]) in held]
    return {**explanation, "tokens": tokens, "positions": positions}
