"""JSON-RPC answers of EVM nodes, Alchemy's included, and what refusals mean; there is no common list of codes."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from moonx_pipeline.providers.bodies import UNREADABLE, repaired
from moonx_pipeline.providers.errors import (
    BadRequest,
    KeyRejected,
    Malformed,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)


class Meaning(enum.Enum):
    """What the refusal of one call means."""

    REVERT = "revert"  # the contract itself refused: its text is the contract's own and proves nothing about the node
    NOTHING = "nothing"  # neither a result in hex nor an error
    QUOTA = "quota"  # the plan's capacity is used up
    BLOCK = "block"  # the node does not have the requested block
    RATE = "rate"  # it wants later calls, or fewer at once
    BATCH = "batch"  # a smaller batch may be answered
    RANGE = "range"  # logs of fewer blocks may be answered
    KEY = "key"  # the key is not allowed to ask this
    MISUSE = "misuse"  # it does not accept such a call at all
    FAULT = "fault"  # it failed: timeouts, gas, internal errors


class _Sign(NamedTuple):
    """A row of the table: it matches if the code is one of its codes, or its words are in the text."""

    meaning: Meaning
    codes: frozenset[int] = frozenset()
    words: str | None = None


# Read from top to bottom; the first match is the meaning. Codes and words are those of Geth, Nethermind, Erigon, Besu,
# Reth, Nitro, OpenEthereum, Anvil and Hardhat, of proxies before them (proxyd), and of hosted nodes.
SIGNS: Final = (
    _Sign(
        Meaning.REVERT,
        frozenset({3, -32015}),
        # Only at the start: the rest is the contract's own text.
        r"^\W*(\w+\W+){0,2}revert|^(error: )?vm (execution|exception)|^(evm error:? ?)?(invalid|bad) ?(fe)?(opcode|jump"
        r"|instruction)|^(evm error:? ?)?(opcode ?not ?found|stack ?(under|over)flow)",
    ),
    _Sign(Meaning.NOTHING, words=r"^neither a result nor an error$"),
    _Sign(Meaning.QUOTA, words=r"monthly (capacity|credit|call)"),
    _Sign(
        Meaning.BLOCK,
        words=r"header (for .{1,80})?not found|unknown block|block .{0,80}not (found|processed|available)"
        r"|block.?out.?of.?range|beyond .{0,10}head|block number .{0,40}(higher|future)"
        r"|missing trie node|historical state|state .{0,80}(pruned|not available|unavailable)",
    ),
    # Before rates: one node's code for too many logs, -32005, is another's for too many requests.
    _Sign(
        Meaning.RANGE,
        words=r"block.?range|range (is )?too (large|wide|big)|(too wide|maximum|exceeds?|limited to) .{0,40}blocks"
        r"|(log|query).{0,20}(response|result).{0,20}(size|exceed|limit)|too many (logs|results)"
        r"|(more than |exceeds? (max )?|limit(ed)? (of|to) )[\d,.]*k? ?(results|logs)|up to a .{0,20}block range",
    ),
    _Sign(
        Meaning.RATE,
        frozenset({429, 15, -32005, -32007, -32016, -32029, -32046, -32090}),
        r"rate.?limit|too many (requests|calls)|throttl|capacity|requests? (per|/) ?(second|minute|hour|day)|slow down",
    ),
    # Not by a code: Geth's code for too large a response, -32003, is Reth's for a call without enough gas.
    _Sign(Meaning.BATCH, words=r"batch|response (size )?(is )?too large|response size .{0,20}(exceed|limit)"),
    _Sign(
        Meaning.KEY,
        # Not just any key: pages have keys, too.
        words=r"must be authenticated|unauthori[sz]ed|not enabled for this app"
        r"|(invalid|missing|unknown|disabled) (api|access|project|app|auth)[ _-]?(key|id|token)"
        r"|api.?key .{0,40}(not allowed|disabled|invalid|expired)",
    ),
    _Sign(Meaning.MISUSE, frozenset({-32700, -32600, -32601, -32602})),
)

_ERRORS: Final[Mapping[Meaning, type[ProviderError]]] = {
    Meaning.NOTHING: Malformed,
    Meaning.QUOTA: QuotaExhausted,
    Meaning.RATE: RateLimited,
    Meaning.KEY: KeyRejected,
    Meaning.MISUSE: BadRequest,
}


class Refusal(NamedTuple):
    """A node's answer instead of a result."""

    code: int | str
    message: str

    @property
    def meaning(self) -> Meaning:
        """Its meaning by ``SIGNS``; anything unknown is a fault."""
        for sign in SIGNS:
            if self.code in sign.codes or (sign.words and re.search(sign.words, self.message, re.IGNORECASE)):
                return sign.meaning
        return Meaning.FAULT

    @property
    def kind(self) -> type[ProviderError]:
        """The error to raise if nothing can be done without the result."""
        return _ERRORS.get(self.meaning, Unavailable)


NO_RESULT: Final = Refusal("none", "neither a result nor an error")


_UNKNOWN: Final = "no code"
_INTEGER: Final = re.compile(r"-?\d{1,9}", re.ASCII)


def refusal_of(error: object) -> Refusal | None:
    """The refusal in the field ``error`` of a response, in whatever form; ``None`` if there is none."""
    if error is None:
        return None
    if not isinstance(error, dict):
        return Refusal(_UNKNOWN, str(error))
    code, message = error.get("code"), error.get("message")
    if isinstance(code, str) and _INTEGER.fullmatch(code):
        code = int(code)
    return Refusal(
        code if isinstance(code, int | str) else _UNKNOWN, message if isinstance(message, str) else str(message or "")
    )


def is_revert(error: object) -> bool:
    """Whether the field ``error`` of an answer comes from the contract."""
    refused = refusal_of(error)
    return refused is not None and refused.meaning is Meaning.REVERT


class Response(msgspec.Struct):
    """One JSON-RPC response whose result is a hex string."""

    id: Any = None
    result: Any = None
    error: Any = None

    @property
    def number(self) -> int | None:
        """The number of the call that it answers; some nodes send it as a text."""
        if isinstance(self.id, str) and _INTEGER.fullmatch(self.id):
            return int(self.id)
        return self.id if isinstance(self.id, int) else None

    @property
    def answer(self) -> str | Refusal:
        """The result in hex, or why there is none."""
        refusal = refusal_of(self.error)
        return refusal or (self.result if isinstance(self.result, str) else NO_RESULT)

    @property
    def refusal(self) -> Refusal | None:
        answer = self.answer
        return answer if isinstance(answer, Refusal) else None


_whole: Final[msgspec.json.Decoder[list[Response] | Response]] = msgspec.json.Decoder(list[Response] | Response)
_apart: Final = msgspec.json.Decoder(list[msgspec.Raw])
_one: Final = msgspec.json.Decoder(Response)


def decode_responses(body: bytes) -> list[Response] | Response:
    """Decodes the body of a response: a list for a batch, else one.

    An unreadable response in a list is left out.

    Raises:
        MsgspecError: The body is neither; the message names the field. Or another one of ``UNREADABLE``.
    """
    try:
        return _whole.decode(body)
    except UNREADABLE:
        body = repaired(body)
    if not body.lstrip().startswith(b"["):
        return _one.decode(body)
    responses = []
    for raw in _apart.decode(body):
        try:
            responses.append(_one.decode(raw))
        except UNREADABLE:
            continue
    return responses
