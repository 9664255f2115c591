"""The part of the evidence that is asked for."""

from __future__ import annotations

import pytest

from moonx_pipeline.views.explain import narrowed

NATIVE = "0x" + "e" * 40
MINE, OTHER = "0x" + "ab" * 20, "0x" + "cd" * 20


def explanation(*places: tuple[str, int, str]) -> dict:
    tokens = list(dict.fromkeys((chain_id, token) for _, chain_id, token in places))
    return {
        "userId": "ann",
        "totalValueUsd": "7",
        "tokens": [{"chainId": chain_id, "tokenAddress": token} for chain_id, token in tokens],
        "positions": [
            {"walletAddress": wallet, "chainId": chain_id, "tokenAddress": token} for wallet, chain_id, token in places
        ],
    }


WHOLE = explanation((MINE, 1, NATIVE), (OTHER, 1, NATIVE), (MINE, 137, NATIVE), (MINE, 1, OTHER))


@pytest.mark.parametrize(
    ("wanted", "positions", "tokens"),
    [
        ({}, [0, 1, 2, 3], [0, 1, 2]),
        ({"wallet": MINE, "chain_id": 1, "token": NATIVE}, [0], [0]),
        ({"token": NATIVE}, [0, 1, 2], [0, 1]),
        ({"wallet": OTHER}, [1], [0]),
        ({"chain_id": 137}, [2], [1]),
        ({"chain_id": 10}, [], []),
        ({"wallet": OTHER, "token": OTHER}, [], []),
    ],
)
def test_positions_that_fit_come_with_their_tokens(wanted: dict, positions: list[int], tokens: list[int]) -> None:
    part = narrowed(WHOLE, **wanted)

    assert part["positions"] == [WHOLE["positions"][n] for n in positions]
    assert part["tokens"] == [WHOLE["tokens"][n] for n in tokens]
    assert (part["userId"], part["totalValueUsd"]) == ("ann", "7")
