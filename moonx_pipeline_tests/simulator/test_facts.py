"""What the simulator takes for true of the real world, against lists that others publish."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from moonx_pipeline.registry.snapshot import SNAPSHOT
from moonx_pipeline.simulator.networks import CHAINS, SimChain
from moonx_pipeline.simulator.rare_tokens import RARE_TOKENS
from moonx_pipeline.simulator.tokens import TOKENS, SimToken

RENAMED = {"USDC.e": {"USDC"}, "USDT": {"USD₮0"}}
"""Bridged dollars that a list names as their contract did before or does since."""

OP_STACK_WETH = "0x4200000000000000000000000000000000000006"
"""Where every chain of the OP Stack has WETH from its first block on (https://specs.optimism.io, predeploys)."""

REAL = [token for token in [*TOKENS.values(), *RARE_TOKENS.values()] if token.listed and not token.is_native]


@pytest.fixture(scope="module")
def published() -> dict[tuple[int, str], set[str]]:
    """Symbols by chain and contract, in the published lists only: what is kept by hand proves nothing here."""
    symbols = defaultdict(set)
    for one in json.loads(SNAPSHOT.read_bytes()):
        for chain_id, contract, symbol, *_ in one["tokens"]:
            symbols[chain_id, contract].add(symbol)
    return symbols


def test_contracts_are_those_of_published_lists(published: dict[tuple[int, str], set[str]]) -> None:
    both = [token for token in REAL if (token.chain_id, token.address) in published]

    def differs(token: SimToken) -> bool:
        said = published[token.chain_id, token.address]
        return not said <= {token.symbol} | RENAMED.get(token.symbol, set())

    assert len(both) >= 50
    assert [token for token in both if differs(token)] == []


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.slug)
def test_wrapped_coins_are_those_of_published_lists(
    published: dict[tuple[int, str], set[str]], chain: SimChain
) -> None:
    symbols = published[chain.id, chain.wrapped_coin]

    assert f"W{chain.coin}" in symbols or chain.wrapped_coin == OP_STACK_WETH, symbols


def test_made_up_contracts_are_nobodys(published: dict[tuple[int, str], set[str]]) -> None:
    made_up = {(t.chain_id, t.address) for t in [*TOKENS.values(), *RARE_TOKENS.values()] if not t.listed}

    assert len(made_up) > 30
    # Mirrors of native coins are real contracts, which lists name as tokens.
    assert {contract for _, contract in made_up & set(published)} <= {"0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000"}
