"""Many JSON-RPC calls to one EVM node in few requests, whatever size of batch it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from moonx_pipeline.providers.errors import (
    BadRequest,
    BatchTooLarge,
    KeyRejected,
    Malformed,
    ProviderError,
    RateLimited,
    Unavailable,
)
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import Refusal, Response, decode_responses
from moonx_pipeline.providers.scope import CallScope

PROVIDER: Final = "rpc"

Answer = str | Refusal
"""A result in hex, or why there is none."""

_NO_BATCHES: Final = frozenset({400, 405, 413, 415, 422, 501})
_SHOWN: Final = 160


class Call(NamedTuple):
    """One call whose result is a hex string."""

    method: str
    params: list[object]


class NodeCalls:
    """The calls of one node. Shared by threads; what it learns of the node's batches lasts as long as it."""

    def __init__(self, chain_id: int, url: str, *, http: HttpClient, batch_size: int) -> None:
        self._chain_id = chain_id
        self._url = url
        self._http = http
        self._batch_size = batch_size
        # Whatever a URL holds that is long enough to be a key.
        self._secrets = [part for part in re.split(r"[/?&=@:]", url) if len(part) >= 8]

    def ask(self, calls: Sequence[Call], scope: CallScope) -> list[Answer]:
        """Answers in the order of ``calls``.

        A node that refuses a batch is asked in batches of a tenth, down to single calls, from then on.

        Raises:
            ProviderError: A request failed as a whole. What the node says of one call is that call's answer.
        """
        answers: list[Answer] = []
        while len(answers) < len(calls):
            batch = calls[len(answers) : len(answers) + self._batch_size]
            try:
                answers += self._ask_together(batch, scope)
            except BatchTooLarge:
                if len(batch) == 1:
                    raise
                self._batch_size = min(self._batch_size, max(1, len(batch) // 10))
        return answers

    def failure(self, method: str, refusal: Refusal) -> ProviderError:
        """The error that a refused call is where nothing can be done without its answer."""
        kind: type[ProviderError] = BadRequest if refusal.is_of_misuse else Unavailable
        if refusal.is_of_rate:
            kind = RateLimited
        return self._error(kind, f"refused {method}: {self._shown(refusal)}", code=refusal.code)

    def malformed(self, what: str) -> ProviderError:
        """The error of an answer that cannot be read."""
        return self._error(Malformed, f"answered {what}")

    def _ask_together(self, batch: Sequence[Call], scope: CallScope) -> list[Answer]:
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}
            for number, call in enumerate(batch, start=1)
        ]

        def problem(status: int, _headers: Mapping[str, str], body: bytes) -> ProviderError | None:
            return self._problem(status, body, batch)

        body = self._http.send(
            "POST",
            self._url,
            scope=scope,
            endpoint=batch[-1].method,
            chain_id=self._chain_id,
            # Alone it is sent as an object, since some nodes take no arrays at all.
            json=requests if len(batch) > 1 else requests[0],
            classify=problem,
        )
        said = decode_responses(body)
        if isinstance(said, Response):
            return [said.answer] * len(batch)
        answers = {response.id: response.answer for response in said}  # in any order
        return [answers[number] for number in range(1, len(batch) + 1)]

    def _problem(self, status: int, body: bytes, batch: Sequence[Call]) -> ProviderError | None:
        """What is wrong with a response as a whole, if anything."""
        try:
            said = decode_responses(body)
        except msgspec.MsgspecError as error:
            by_status = self._problem_by_status(status, len(batch))
            return by_status or self.malformed(f"with a body that is no JSON-RPC ({error})")
        if isinstance(said, Response):
            return self._problem_of_one(status, said.refusal, batch)
        return self._problem_by_status(status, len(batch)) or self._problem_of_many(said, batch)

    def _problem_of_one(self, status: int, refusal: Refusal | None, batch: Sequence[Call]) -> ProviderError | None:
        # Some nodes send the refusal of a single call, or of the block of all, with a status of 4xx or 5xx.
        if refusal is not None and (refusal.is_of_block or (refusal.is_revert and len(batch) == 1)):
            return None
        if refusal is not None and refusal.is_of_rate:
            return self.failure(batch[-1].method, refusal)
        if (by_status := self._problem_by_status(status, len(batch))) is not None:
            if refusal is not None and refusal.is_of_batch:
                return self._too_large()
            return by_status
        return self._too_large() if len(batch) > 1 else None

    def _problem_of_many(self, responses: Sequence[Response], batch: Sequence[Call]) -> ProviderError | None:
        refusals = [refusal for response in responses if (refusal := response.refusal) is not None]
        if limited := next((refusal for refusal in refusals if refusal.is_of_rate), None):
            return self.failure(batch[-1].method, limited)
        missing = set(range(1, len(batch) + 1)).difference(response.id for response in responses)
        if len(batch) == 1:
            return self.malformed("another call than the one that was sent") if missing else None
        return self._too_large() if missing or any(refusal.is_of_batch for refusal in refusals) else None

    def _problem_by_status(self, status: int, size: int) -> ProviderError | None:
        if status < 300:
            return None
        if size > 1 and status in _NO_BATCHES:
            return self._too_large()
        kind: type[ProviderError] = BadRequest
        if status in (401, 403):
            kind = KeyRejected
        elif status == 429:
            kind = RateLimited
        elif status >= 500:
            kind = Unavailable
        return self._error(kind, f"answered with HTTP status {status}", status=status)

    def _too_large(self) -> BatchTooLarge:
        message = f"The node of chain {self._chain_id} does not take so many calls in one request; ask for fewer."
        return BatchTooLarge(message, limit=None, provider=PROVIDER)

    def _error(
        self, kind: type[ProviderError], what: str, *, status: int | None = None, code: int | str | None = None
    ) -> ProviderError:
        message = f"The node of chain {self._chain_id} {what}."
        return kind(message, provider=PROVIDER, chain_id=self._chain_id, status=status, code=code)

    def _shown(self, refusal: Refusal) -> str:
        """A refusal in words, without the key that nodes like to repeat."""
        text = refusal.message
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return f"{text[:_SHOWN].rstrip('.')} ({refusal.code})"
