"""Many JSON-RPC calls to one EVM node in few requests, adapted to the batch size and rate that it accepts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from moonx_pipeline.providers.bodies import UNREADABLE
from moonx_pipeline.providers.classification import refusal, retry_time
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import BatchTooLarge, CallTimeout, Malformed, ProviderError, RateLimited
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import NO_RESULT, Refusal, Response, decode_responses, refusal_of
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

Answer = str | Refusal
"""A result in hex, or why there is none."""

E = TypeVar("E", bound=ProviderError)

_NO_BATCHES: Final = frozenset({400, 405, 413, 415, 422, 501})
_TOO_MUCH_AT_ONCE: Final = frozenset({Meaning.RATE, Meaning.BATCH})
_OF_ALL: Final = frozenset({Meaning.QUOTA, Meaning.KEY})
_LATE: Final = Refusal("timeout", "it did not answer in time")
_LEFT_OUT: Final = Refusal("none", "it was left out of the answer")
_SHOWN: Final = 160


class Call(NamedTuple):
    """One call whose result is a hex string, or an object with one field that is wanted.

    Attributes:
        method, params: Of the call.
        field: The field of the result, which then is the answer; ``None`` if the result itself is.
    """

    method: str
    params: list[object]
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A chain's JSON-RPC endpoint.

    Attributes:
        chain_id: The chain.
        url: May hold a key, so it never appears in a message.
        provider: As calls are counted: ``rpc`` is the operator's own node.
        name: Shown to users, as the subject of a sentence.
        compute_units: What a call costs, by method.
    """

    chain_id: int
    url: str
    provider: str
    name: str
    compute_units: Mapping[str, int]


class NodeCalls:
    """Calls to one node. Shared by threads; what it learns about the node's batches lasts as long as it does."""

    def __init__(self, endpoint: Endpoint, *, http: HttpClient, batch_size: int) -> None:
        self._endpoint = endpoint
        self._http = http
        self._batch_size = batch_size
        # Any part of the URL that is long enough to be a key.
        self._secrets = [part for part in re.split(r"[/?&=@:]", endpoint.url) if len(part) >= 8]

    def ask(self, calls: Sequence[Call], scope: CallScope) -> list[Answer]:
        """The answers in the order of ``calls``.

        Calls that the node refuses as too many, at once or in too short a time, are asked again in smaller batches
        down to single calls, which wait for the node's limit as every call does. Batches that it does not accept at
        all are not sent again.

        Raises:
            ProviderError: A request failed as a whole, or the node's limit left no time for a single call. A node's
                refusal of one call is that call's answer.
        """
        answers: dict[int, Answer] = {}
        left, size, most, has_split = list(range(len(calls))), self._batch_size, self._batch_size, False
        while left:
            batch, rest = left[:size], left[size:]
            try:
                said = self._ask_together([calls[number] for number in batch], scope)
            except BatchTooLarge:
                if len(batch) == 1:
                    raise
                size = most = self._batch_size = min(self._batch_size, _tenth(batch))
                continue
            except RateLimited:
                if len(batch) == 1:
                    raise
                size, most = _tenth(batch), max(1, len(batch) // 2)
                continue
            except CallTimeout:
                # One call may have delayed the others. A pair is not split: that detects a node that hangs.
                if len(batch) <= 2 and not has_split:
                    raise
                if len(batch) > 1:
                    size, has_split = _tenth(batch), True
                    continue
                said = [_LATE]
            again = [number for number, answer in zip(batch, said, strict=True) if _is_too_much(answer, batch)]
            answers |= {number: answer for number, answer in zip(batch, said, strict=True) if number not in again}
            left = again + rest
            if again:
                size = len(batch) - len(again) or _tenth(batch)
                most = max(size, len(again) // 2)
                if any(_is_of_batch(answer) for answer in said):
                    most = self._batch_size = min(self._batch_size, size)
            elif not has_split:
                size = min(most, size * 2)
        return [answers[number] for number in range(len(calls))]

    def failure(self, what: str, refused: Refusal, kind: type[ProviderError] | None = None) -> ProviderError:
        """The error of refused calls if nothing can be done without their answer."""
        return self.error(kind or refused.kind, f"refused {what}: {self._shown(refused)}", code=refused.code)

    def malformed(self, what: str) -> ProviderError:
        """The error of an unreadable answer."""
        return self.error(Malformed, f"answered {what}")

    def ask_one(self, call: Call, scope: CallScope, slot: datetime | None = None) -> Any:
        """The result of one call, whatever JSON it is, or a ``Refusal``.

        Args:
            call: The call.
            scope: Deadline and tally.
            slot: A reserved slot of the rate limit.

        Raises:
            ProviderError: The request failed as a whole.
        """
        said = decode_responses(self._send([call], scope, slot))
        response = said if isinstance(said, Response) else next(iter(said), Response())
        return refusal_of(response.error) or response.result

    def _ask_together(self, batch: Sequence[Call], scope: CallScope) -> list[Answer]:
        said = decode_responses(self._send(batch, scope, None))
        if isinstance(said, Response):
            return [_answer(said, call) for call in batch]
        responses = {response.number: response for response in said}  # in any order
        return [_answer(responses.get(number), call) for number, call in enumerate(batch, start=1)]

    def _send(self, batch: Sequence[Call], scope: CallScope, slot: datetime | None) -> bytes:
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}
            for number, call in enumerate(batch, start=1)
        ]

        def problem(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
            return self._problem(status, headers, body, batch)

        return self._http.send(
            Request(
                "POST",
                self._endpoint.url,
                batch[-1].method,
                chain_id=self._endpoint.chain_id,
                compute_units=sum(self._endpoint.compute_units.get(call.method, 0) for call in batch),
                # A single call is sent as an object, since some nodes accept no arrays at all.
                json=requests if len(batch) > 1 else requests[0],
            ),
            problem,
            scope=scope,
            slot=slot,
        )

    def _problem(
        self, status: int, headers: Mapping[str, str], body: bytes, batch: Sequence[Call]
    ) -> ProviderError | None:
        """The error of a response as a whole, if any."""
        by_status = self._problem_by_status(status, headers, body, len(batch))
        try:
            said = decode_responses(body)
        except UNREADABLE as error:
            return by_status or self.malformed(f"with a body that is no JSON-RPC ({error})")
        refusals = [said.refusal] if isinstance(said, Response) else [response.refusal for response in said]
        found = [refused for refused in refusals if refused is not None]
        if (of_all := next((refused for refused in found if refused.meaning in _OF_ALL), None)) is not None:
            return self.failure(batch[-1].method, of_all)
        if isinstance(said, Response):
            return self._problem_of_one(said.refusal, by_status, headers, batch)
        return by_status or self._problem_of_many(said, found, headers, batch)

    def _problem_of_one(
        self,
        refused: Refusal | None,
        by_status: ProviderError | None,
        headers: Mapping[str, str],
        batch: Sequence[Call],
    ) -> ProviderError | None:
        meaning = refused.meaning if refused is not None else None
        # Some nodes refuse a single call, or the block of all calls, with a status of 4xx or 5xx.
        if meaning is Meaning.BLOCK or meaning is Meaning.RANGE or (meaning is Meaning.REVERT and len(batch) == 1):
            return None
        if refused is not None and meaning is Meaning.RATE:
            return self._limited(refused, headers, batch)
        if by_status is not None:
            # One object for all of them, whatever its status: it took the list itself for a call that it does not know.
            is_of_list = meaning is Meaning.BATCH or (meaning is Meaning.MISUSE and len(batch) > 1)
            return self._too_large() if is_of_list else by_status
        return self._too_large() if len(batch) > 1 else None

    def _problem_of_many(
        self,
        responses: Sequence[Response],
        refusals: Sequence[Refusal],
        headers: Mapping[str, str],
        batch: Sequence[Call],
    ) -> ProviderError | None:
        missing = set(range(1, len(batch) + 1)).difference(response.number for response in responses)
        if len(batch) == 1:
            if (limited := next((each for each in refusals if each.meaning is Meaning.RATE), None)) is not None:
                return self._limited(limited, headers, batch)
            return self.malformed("another call than the one that was sent") if missing else None
        # A few missing answers are asked for again; if most are missing, the batch as a whole was not accepted.
        return self._too_large() if len(missing) * 2 > len(batch) else None

    def _limited(self, refused: Refusal, headers: Mapping[str, str], batch: Sequence[Call]) -> ProviderError:
        error = self.failure(batch[-1].method, refused)
        error.retry_at = retry_time(headers)
        return error

    def _problem_by_status(
        self, status: int, headers: Mapping[str, str], body: bytes, size: int
    ) -> ProviderError | None:
        if size > 1 and status in _NO_BATCHES:
            return self._too_large()
        error = refusal(
            self._endpoint.provider,
            status,
            headers,
            body,
            chain_id=self._endpoint.chain_id,
            name=self._endpoint.name,
        )
        if error is not None:
            error.args = tuple(self._hidden(argument) for argument in error.args)
        return error

    def _too_large(self) -> BatchTooLarge:
        message = f"{self._endpoint.name} does not take so many calls in one request; ask for fewer."
        return BatchTooLarge(message, limit=None, provider=self._endpoint.provider)

    def error(self, kind: type[E], what: str, *, code: int | str | None = None) -> E:
        """An error about the node; ``what`` goes on after its name."""
        endpoint = self._endpoint
        return kind(f"{endpoint.name} {what}.", provider=endpoint.provider, chain_id=endpoint.chain_id, code=code)

    def _shown(self, refused: Refusal) -> str:
        """A refusal in words, without the key that nodes may repeat."""
        return f"{self._hidden(refused.message)[:_SHOWN].rstrip('.')} ({refused.code})"

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


def _answer(response: Response | None, call: Call) -> Answer:
    if response is None:
        return _LEFT_OUT
    if call.field is None or not isinstance(response.result, dict):
        return response.answer
    value = response.result.get(call.field)
    return value if isinstance(value, str) else NO_RESULT


def _tenth(batch: Sequence[int]) -> int:
    return max(1, len(batch) // 10)


def _is_too_much(answer: Answer, batch: Sequence[int]) -> bool:
    if len(batch) == 1 or not isinstance(answer, Refusal):
        return False
    return answer is _LEFT_OUT or answer.meaning in _TOO_MUCH_AT_ONCE


def _is_of_batch(answer: Answer) -> bool:
    return isinstance(answer, Refusal) and answer.meaning is Meaning.BATCH
