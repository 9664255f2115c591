"""JSON-RPC answers of EVM nodes, Alchemy's included."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from moonx_pipeline.providers.bodies import UNREADABLE, repaired
from moonx_pipeline.providers.error_table import Meaning, sign_of
from moonx_pipeline.providers.errors import ProviderError


class Refusal(NamedTuple):
    """A node's answer instead of a result."""

    code: int | str
    message: str

    @property
    def meaning(self) -> Meaning:
        """What it means by ``SIGNS`` of the error table."""
        return sign_of(self.code, self.message).meaning

    @property
    def kind(self) -> type[ProviderError]:
        """The error to raise if nothing can be done without the result."""
        return sign_of(self.code, self.message).error


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
