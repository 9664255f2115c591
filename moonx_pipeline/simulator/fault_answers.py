"""The faulty answers that replace good ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from moonx_pipeline.simulator.raw_responses import EarlyHints, RawResponse, SlowHeaders

HTML: Final = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, you have been blocked</body></html>"
_MONTHLY: Final = "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade."
_OVER_CAPACITY: Final = "Your app has exceeded its compute units per second capacity."
_OVER_WEIGHT: Final = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."
_BANNED: Final = "Way too much request weight used; IP banned until 1999999999999. Please use WebSocket Streams."
_RESTRICTED: Final = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms. "
    "Please contact customer service if you believe you received this message in error."
)
_PRO_HOST: Final = "If you are using Pro API key, please change your root URL"

_Answer = tuple[int, dict[str, str], Any]


def _json_rpc(code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}


def _html(status: int) -> _Answer:
    return status, {"Content-Type": "text/html"}, HTML


# Status, headers and body, by provider and kind.
_ANSWERS: Final[dict[tuple[str, str], _Answer]] = {
    ("alchemy", "rate_limit"): (429, {}, {"error": {"code": 429, "message": _OVER_CAPACITY}}),
    ("alchemy", "quota"): (403, {}, _json_rpc(-32600, _MONTHLY)),
    ("alchemy", "bad_key"): (401, {}, _json_rpc(-32600, "Must be authenticated!")),
    ("alchemy", "forbidden"): (403, {}, {"error": {"message": "App is inactive."}}),
    ("alchemy", "outage"): (503, {}, _json_rpc(-32000, "Unable to complete request at this time.")),
    ("binance", "rate_limit"): (429, {"X-MBX-USED-WEIGHT-1M": "6100"}, {"code": -1003, "msg": _OVER_WEIGHT}),
    ("binance", "banned"): (418, {"Retry-After": "120"}, {"code": -1003, "msg": _BANNED}),
    ("binance", "firewall"): _html(403),
    ("binance", "geo_block"): (451, {}, {"code": 0, "msg": _RESTRICTED}),
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
    ("defillama", "firewall"): _html(403),
    ("defillama", "outage"): _html(502),
    ("dexscreener", "rate_limit"): (429, {"Content-Type": "text/plain"}, "error code: 1015"),
    ("dexscreener", "firewall"): _html(403),
    ("dexscreener", "outage"): _html(502),
    ("rpc", "rate_limit"): (429, {}, _json_rpc(-32005, "daily request count exceeded, request rate limited")),
    ("rpc", "outage"): _html(502),
}

BROKEN: Final = frozenset(
    {"hang", "reset", "truncate", "malformed", "wrong_types", "slow_drip", "slow_headers", "oversized", "nested"}
)
"""Faults of the connection or of the body."""

OF_ANY_PROVIDER: Final = BROKEN | {"status", "early_hints"}


def has_answer(provider: str, kind: str) -> bool:
    """Whether a provider has a whole-answer fault of this kind."""
    return (provider, kind) in _ANSWERS


def faulty_response(provider: str, kind: str, params: Mapping[str, Any], good: Response) -> Response:
    """Turns a good answer into a faulty one.

    Args:
        provider, kind: The fault; not one inside an answer.
        params: The fault's params.
        good: The good answer; empty if none of it is needed.
    """
    headers = {str(k): str(v) for k, v in params.get("headers", {}).items()}
    if "retry_after" in params:
        headers["Retry-After"] = str(params["retry_after"])
    if kind == "early_hints":
        return EarlyHints(good)
    if kind in BROKEN:
        return _broken(kind, params, bytes(good.body))
    if kind == "status":
        status, body = int(params["status"]), params.get("body", "")
    else:
        status, usual, body = _ANSWERS[provider, kind]
        headers = {**usual, **headers}
    answer = Response(body, status, headers) if isinstance(body, str) else JSONResponse(body, status, headers)
    return answer if 200 <= status < 600 else RawResponse(answer)


def _broken(kind: str, params: Mapping[str, Any], good: bytes) -> Response:
    if kind == "malformed":
        return Response(b'{"data": [1, 2', media_type="application/json")
    if kind == "wrong_types":
        return Response(b'{"data": "nothing", "price": [], "pairs": 7}', media_type="application/json")
    if kind == "oversized":
        size = int(params.get("bytes", 1 << 20))
        return Response(b'"' + b"x" * size + b'"', media_type="application/json")
    if kind == "hang":
        return StreamingResponse(_never(), media_type="application/json")
    if kind == "nested":
        return Response(_nested(good, int(params.get("depth", 50_000))), media_type="application/json")
    if kind == "slow_headers":
        return SlowHeaders(float(params.get("seconds", 2)))
    if kind == "slow_drip":
        return StreamingResponse(_drip(good, float(params.get("seconds", 0.05))), media_type="application/json")
    # The promised length is never sent: the server closes the connection in the middle.
    promised = len(good) + 1000 if kind == "reset" else len(good)
    return StreamingResponse(_part(good), headers={"Content-Length": str(promised)}, media_type="application/json")


def _nested(good: bytes, depth: int) -> bytes:
    """A good answer with one more member, or item, of lists within lists."""
    member = b"" if good.endswith(b"]") else b'"x":'
    return good[:-1] + b"," + member + b"[" * depth + b"]" * depth + good[-1:]


async def _never() -> AsyncIterator[bytes]:
    yield b""
    await asyncio.sleep(3600)


async def _drip(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for byte in body:
        yield bytes([byte])
        await asyncio.sleep(seconds)


async def _part(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
