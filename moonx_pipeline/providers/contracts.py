"""What contracts themselves say of a token: symbol, name and decimals, by any node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from moonx_pipeline.domain.portfolio import TokenInfo
from moonx_pipeline.providers import erc20
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import Call, NodeCalls
from moonx_pipeline.providers.scope import CallScope

_LATEST: Final = "latest"


def ask_contracts(calls: NodeCalls, tokens: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
    """Asks contracts for their name, symbol and decimals.

    Args:
        calls: The calls of the node to ask.
        tokens: Lower-case contract addresses.
        scope: Deadline and tally.

    Returns:
        An entry for every token. What a contract does not give, or gives malformed, is ``None``.

    Raises:
        ProviderError: The node did not answer.
    """
    questions = (erc20.SYMBOL, erc20.NAME, erc20.DECIMALS)
    asked = [eth_call(token, question, _LATEST) for token in tokens for question in questions]
    said = [None if isinstance(answer, Refusal) else answer for answer in calls.ask(asked, scope)]
    return {
        token: TokenInfo(
            symbol=erc20.read_text(symbol or ""),
            name=erc20.read_text(name or ""),
            decimals=erc20.read_decimals(decimals or ""),
        )
        for token, symbol, name, decimals in zip(tokens, said[0::3], said[1::3], said[2::3], strict=True)
    }


def eth_call(contract: str, data: str, block: str) -> Call:
    """A question to a contract, as of a block."""
    return Call("eth_call", [{"to": contract, "data": data}, block])
