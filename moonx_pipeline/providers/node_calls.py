"""Many JSON-RPC calls to one node in few requests, whatever size of batch the node takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from moonx_pipeline.providers.errors import (
    BadRequest,
    BatchTooLarge,
    Malformed,
    ProviderError,
    RateLimited,
    Unavailable,
)
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope

PROVIDER: Final = "rpc"

_REVERTED: Final = 3
_TOO_MANY: Final = frozenset({429, -32005, -32029})
_MISUSED: Final = frozenset({-32700, -32600, -32601, -32602})
_TOO_LARGE_ANSWER: Final = -32003
_NO_BATCHES: Final = frozenset({400, 405, 413, 415, 422, 501})
# What Geth, Nethermind, Erigon, Besu, Reth, Nitro, Anvil and hosted nodes say of a block or of a state
# that they do not have; there is no common code for it.
_NO_BLOCK: Final = re.compile(
    r"header (for \S+ )?not found|unknown block|block \S* ?(not found|not processed|not available)"
    r"|block ?(height|number)?.{0,20}(out ?of ?range|higher|future)|blockoutofrange"
    r"|missing trie node|state .{0,40}(pruned|not available|unavailable)|historical state",
    re.IGNORECASE,
)
_SHOWN: Final = 160


class Call(NamedTuple):
    """One call whose result is a hex string."""

    method: str
    params: list[object]


class Refusal(NamedTuple):
    """What a node says instead of a result."""

    code: int | str
    message: str

    @property
    def is_revert(self) -> bool:
        """Whether a contract refused, whose text then proves nothing: it is the contract's own."""
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
        return not self.is_revert and (self.code == _TOO_LARGE_ANSWER or "batch" in self.message.lower())


Answer = str | Refusal
"""A result in hex, or why there is none."""


class _Error(msgspec.Struct):
    code: int | str = 0
    message: str = ""


class _Response(msgspec.Struct):
    id: int | str | None = None
    result: str | None = None
    error: _Error | None = None

    @property
    def refusal(self) -> Refusal | None:
        return Refusal(self.error.code, self.error.message) if self.error is not None else None


_DECODER: Final = msgspec.json.Decoder(list[_Response] | _Response)


class NodeCalls:
    """The calls of one node. Shared by threads; what it learns of the node's batches lasts as long as it."""

    def __init__(self, chain_id: int, url: str, *, http: HttpClient, batch_size: int) -> None:
        self._chain_id = chain_id
        self._url = url
        self._http = http
        self._batch_size = batch_size

    def ask(self, calls: Sequence[Call], scope: CallScope) -> list[Answer]:
        """Answers in the order of ``calls``.

        A node that refuses a batch is asked in batches of a tenth, down to single calls, from then on.

        Raises:
            ProviderError: A request failed as a whole. What the node says of a single call is its answer.
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
        """The error that a refused call is, where its answer cannot be done without."""
        kind: type[ProviderError] = Unavailable
        if refusal.is_of_rate:
            kind = RateLimited
        elif refusal.code in _MISUSED and not refusal.is_of_block:
            kind = BadRequest
        return kind(
            f"The node of chain {self._chain_id} refused {method} ({refusal.code}: {self._shown(refusal.message)}).",
            provider=PROVIDER,
            chain_id=self._chain_id,
            code=refusal.code,
        )

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
            # Alone it is sent as an object: some nodes take no arrays at all.
            json=requests if len(batch) > 1 else requests[0],
            classify=problem,
        )
        return self._answers(body, len(batch))
