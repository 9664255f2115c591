"""Faults on demand: what providers, and the networks before them, get wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

HTML: Final = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, you have been blocked</body></html>"
_MONTHLY: Final = "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade."
_OVER_CAPACITY: Final = "Your app has exceeded its compute units per second capacity."
_OVER_WEIGHT: Final = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
_BANNED: Final = "Way too much request weight used; IP banned until 1999999999999. Please use WebSocket Streams."
_PRO_HOST: Final = "If you are using Pro API key, please change your root URL"

_Answer = tuple[int, dict[str, str], Any]


def _json_rpc(code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}


def _html(status: int) -> _Answer:
    return status, {"Content-Type": "text/html"}, HTML


# Whole answers, by provider and kind: status, headers, body.
_ANSWERS: Final[dict[tuple[str, str], _Answer]] = {
    ("alchemy", "rate_limit"): (429, {}, {"error": {"code": 429, "message": _OVER_CAPACITY}}),
    ("alchemy", "quota"): (403, {}, _json_rpc(-32600, _MONTHLY)),
    ("alchemy", "bad_key"): (401, {}, _json_rpc(-32600, "Must be authenticated!")),
    ("alchemy", "forbidden"): (403, {}, {"error": {"message": "App is inactive."}}),
    ("alchemy", "outage"): (503, {}, _json_rpc(-32000, "Unable to complete request at this time.")),
    ("binance", "rate_limit"): (429, {"X-MBX-USED-WEIGHT-1M": "6100"}, {"code": -1003, "msg": _OVER_WEIGHT}),
    ("binance", "banned"): (418, {"Retry-After": "120"}, {"code": -1003, "msg": _BANNED}),
    ("binance", "firewall"): _html(403),
    ("binance", "geo_block"): (451, {}, {"code": 0, "msg": "Service unavailable from a restricted location"}),
    ("binance", "outage"): (500, {}, {"code": -1008, "msg": "Server is currently overloaded with other requests."}),
    ("coingecko", "rate_limit"): (
        429,
        {"retry-after": "60"},
        {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}},
    ),
    ("coingecko", "firewall"): _html(403),
    ("coingecko", "bad_key"): (401, {}, {"status": {"error_code": 10002, "error_message": "API Key Missing."}}),
    ("coingecko", "wrong_host"): (400, {}, {"error_code": 10010, "status": {"error_message": _PRO_HOST}}),
    ("coingecko", "outage"): _html(503),
    ("defillama", "rate_limit"): (429, {"Content-Type": "text/plain"}, "Too many requests"),
    ("defillama", "outage"): _html(502),
    ("dexscreener", "rate_limit"): (429, {"Content-Type": "text/plain"}, "error code: 1015"),
    ("dexscreener", "outage"): _html(502),
}

BROKEN: Final = frozenset({"hang", "reset", "truncate", "malformed", "wrong_types", "slow_drip", "oversized"})
"""Faults of the connection or the body, which any provider's answer can have."""

IN_ANSWER: Final = frozenset(
    {
        "partial_error",
        "null_decimals",
        "endless_page_key",
        "missing_page",
        "duplicate_tokens",
        "token_error",
        "0x_balance",
        "three_word_balance",
        "odd_decimals",
        "row_error",
        "lone_surrogate",
        "named_native",
        "silent_network",
        "null_metadata",
        "metadata_refused",
        "call_refused",
        "empty_answer",
        "null_answer",
        "zero_price",
        "no_price",
        "no_liquidity",
        "old_quotes",
        "scaled_price",
    }
)
"""Faults inside an answer that looks good; the routes put them there."""


@dataclass(slots=True)
class Fault:
    """A fault that is switched on.

    Attributes:
        id: To switch it off by.
        kind: A key of the answers above, ``status``, or one of ``BROKEN`` and ``IN_ANSWER``.
        provider: Whose answers.
        endpoint, network, wallet: Only of these; ``None`` is any.
        times: How many more answers; ``None`` is for ever.
        params: Such as ``retry_after``, ``status``, ``body``, ``headers``, ``seconds``.
    """

    id: int
    kind: str
    provider: str
    endpoint: str | None = None
    network: str | None = None
    wallet: str | None = None
    times: int | None = None
    params: dict[str, Any] = field(default_factory=dict)


class Faults:
    """The faults that are on, and what was asked since the last reset."""

    def __init__(self) -> None:
        self._active: list[Fault] = []
        self._ids = itertools.count(1)
        self.latency_ms: dict[str, float] = {}
        self.requests: Counter[str] = Counter()
        self.compute_units = 0

    def add(self, **values: Any) -> Fault:
        fault = Fault(id=next(self._ids), **values)
        known = fault.kind == "status" or fault.kind in BROKEN | IN_ANSWER or (fault.provider, fault.kind) in _ANSWERS
        if not known:
            raise ValueError(f"There is no fault '{fault.kind}' of {fault.provider}.")
        self._active.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        self._active = [fault for fault in self._active if fault_id is not None and fault.id != fault_id]

    def take(
        self,
        provider: str,
        endpoint: str,
        kinds: frozenset[str] | None = None,
        *,
        networks: set[str],
        wallets: set[str],
        tokens: set[str] | None = None,
    ) -> Iterator[Fault]:
        """The faults that fit a request, each counted as used."""
        for fault in list(self._active):
            inside = fault.kind in IN_ANSWER
            if (kinds is None) == inside or (kinds is not None and fault.kind not in kinds):
                continue
            if fault.provider != provider or fault.endpoint not in (None, endpoint):
                continue
            if (fault.network and fault.network not in networks) or (fault.wallet and fault.wallet not in wallets):
                continue
            token = fault.params.get("token")
            if tokens and token and token.lower() not in tokens:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._active.remove(fault)
            yield fault


def faulty_response(fault: Fault, good: bytes) -> Response:
    """The answer that a fault makes of a good one.

    Args:
        fault: One that is not inside an answer.
        good: The body that would have been sent.
    """
    headers = {str(k): str(v) for k, v in fault.params.get("headers", {}).items()}
    if "retry_after" in fault.params:
        headers["Retry-After"] = str(fault.params["retry_after"])
    if fault.kind == "status":
        body = fault.params.get("body", "")
        content = body if isinstance(body, str) else None
        status = int(fault.params["status"])
        return Response(content, status, headers) if content is not None else JSONResponse(body, status, headers)
    if fault.kind in BROKEN:
        return _broken(fault, good)
    status, usual, body = _ANSWERS[fault.provider, fault.kind]
    headers = {**usual, **headers}
    return Response(body, status, headers) if isinstance(body, str) else JSONResponse(body, status, headers)


def _broken(fault: Fault, good: bytes) -> Response:
    if fault.kind == "malformed":
        return Response(b'{"data": [1, 2', media_type="application/json")
    if fault.kind == "wrong_types":
        return Response(b'{"data": "nothing", "price": [], "pairs": 7}', media_type="application/json")
    if fault.kind == "oversized":
        size = int(fault.params.get("bytes", 1 << 20))
        return Response(b'"' + b"x" * size + b'"', media_type="application/json")
    if fault.kind == "hang":
        return StreamingResponse(_never(), media_type="application/json")
    if fault.kind == "slow_drip":
        return StreamingResponse(_drip(good, float(fault.params.get("seconds", 0.05))), media_type="application/json")
    # The length that is promised is never sent: the server closes the connection in the middle.
    promised = (
        {"Content-Length": str(len(good) + 1000)} if fault.kind == "reset" else {"Content-Length": str(len(good))}
    )
    return StreamingResponse(_part(good), headers=promised, media_type="application/json")


async def _never() -> AsyncIterator[bytes]:
    yield b""
    await asyncio.sleep(3600)


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for byte in body:
        yield bytes([byte])
        await asyncio.sleep(seconds)


async def _part(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
