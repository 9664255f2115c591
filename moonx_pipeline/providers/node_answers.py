"""What an EVM node answers to JSON-RPC, and what its refusals mean; there is no common list of codes."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

_REVERTED: Final = 3
_TOO_MANY: Final = frozenset({429, -32005, -32029})
_TOO_LARGE: Final = -32003
_MISUSE: Final = frozenset({-32700, -32600, -32601, -32602})
# The words of Geth, Nethermind, Erigon, Besu, Reth, Nitro, Anvil and hosted nodes for a block, or the
# state of one, that they do not have.
_NO_BLOCK: Final = re.compile(
    r"header (for .{1,80})?not found|unknown block|block .{0,80}not (found|processed|available)"
    r"|block.?out.?of.?range|block number .{0,40}(higher|future)"
    r"|missing trie node|historical state|state .{0,80}(pruned|not available|unavailable)",
    re.IGNORECASE,
)


class Refusal(NamedTuple):
    """What a node says instead of a result."""

    code: int | str
    message: str

    @property
    def is_revert(self) -> bool:
        """Whether a contract refused. Its text is then the contract's own and proves nothing of the node."""
        return self.code == _REVERTED or "revert" in self.message[:40].lower()

    @property
    def is_of_block(self) -> bool:
        """Whether the node does not have the block that was asked for."""
        return not self.is_revert and _NO_BLOCK.search(self.message) is not None

    @property
    def is_of_rate(self) -> bool:
        """Whether the node asks to be asked later."""
        return not self.is_revert and self.code in _TOO_MANY

    @property
    def is_of_batch(self) -> bool:
        """Whether a smaller batch may be answered."""
        return not self.is_revert and (self.code == _TOO_LARGE or "batch" in self.message.lower())

    @property
    def is_of_misuse(self) -> bool:
        """Whether the node does not take such a call at all."""
        return not self.is_of_block and self.code in _MISUSE


class _Error(msgspec.Struct):
    code: int | str = 0
    message: str = ""


class Response(msgspec.Struct):
    """One JSON-RPC response whose result is a hex string."""

    id: int | str | None = None
    result: str | None = None
    error: _Error | None = None

    @property
    def answer(self) -> str | Refusal:
        """The result in hex, or why there is none."""
        if self.error is not None:
            return Refusal(self.error.code, self.error.message)
        return Refusal(0, "neither a result nor an error") if self.result is None else self.result

    @property
    def refusal(self) -> Refusal | None:
        answer = self.answer
        return answer if isinstance(answer, Refusal) else None


_DECODER: Final[msgspec.json.Decoder[list[Response] | Response]] = msgspec.json.Decoder(list[Response] | Response)


def decode_responses(body: bytes) -> list[Response] | Response:
    """Reads the body of a response: a list for a batch, else one.

    Raises:
        msgspec.MsgspecError: The body is not that; the message names the field.
    """
    return _DECODER.decode(body)
