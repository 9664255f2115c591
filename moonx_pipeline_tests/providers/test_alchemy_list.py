"""A wallet's list by Alchemy's JSON-RPC, page by page: what was read is kept, whatever comes after it."""

from __future__ import annotations

import json
import threading

import pytest

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import ChainOutcome
from moonx_pipeline.providers.alchemy_rpc import AlchemyRpc
from moonx_pipeline.providers.errors import (
    BadRequest,
    Malformed,
    Oversized,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline_tests.support.raw_server import answering, http

WALLET = "0x" + "ab" * 20
COIN = http(b'{"jsonrpc":"2.0","id":1,"result":"0x5"}')
INVALID_KEY = http(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid page key"}}')


def token(number: int) -> str:
    return f"0x{number:040x}"


def page(*numbers: int, key: str | None = None, balance: str = "0x7") -> bytes:
    rows = [{"contractAddress": token(number), "tokenBalance": balance, "error": None} for number in numbers]
    return http(json.dumps({"result": {"tokenBalances": rows, **({"pageKey": key} if key else {})}}).encode())


def read(url: str, *, max_pages: int = 10, resume_key: str | None = None, scope: CallScope | None = None):
    client = HttpClient("alchemy", timeout_s=2, retries=1, retry_delay_s=0, max_body_bytes=5_000)
    return AlchemyRpc(1, url, client, max_pages).balances(WALLET, scope or CallScope.lasting(20), resume_key)


LIMITS = (RateLimited, QuotaExhausted)
STOPS: list[tuple[bytes, type[ProviderError]]] = [
    (http(b"", "503 Gone"), Unavailable),
    (http(b"", "429 Slow", "Retry-After: 60\r\n"), RateLimited),
    (http(b'{"error":{"message":"Monthly capacity limit exceeded"}}', "403 No"), QuotaExhausted),
    (http(b"", "400 Bad"), BadRequest),
    (http(b"", "999 Odd"), Malformed),
    (http(b"[1, 2"), Malformed),
    (http(b'{"error":{"code":-32000,"message":"Unable to complete request at this time."}}'), Unavailable),
    (http(b'{"error":{"code":429,"message":"exceeded"}}'), RateLimited),
    (http(b"x" * 9_000), Oversized),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", Unavailable),
]


@pytest.mark.parametrize(("stop", "kind"), STOPS)
def test_pages_that_were_read_are_kept_whatever_stops_the_next_one(stop: bytes, kind: type[ProviderError]) -> None:
    with answering(COIN, page(1, 2, key="a"), page(3, key="b"), stop) as url:
        found = read(url)

    assert type(found.stopped_by) is kind
    assert (found.balances.outcome, found.balances.resume_key) == (ChainOutcome.PARTIAL, "b")
    assert found.balances.balances == {NATIVE_TOKEN: 5, token(1): 7, token(2): 7, token(3): 7}
    assert found.balances.reason == "Read in part: 3 tokens so far; the next sync goes on there."


@pytest.mark.parametrize(("stop", "kind"), STOPS)
def test_a_list_of_which_nothing_was_read_is_an_error(stop: bytes, kind: type[ProviderError]) -> None:
    with answering(COIN, stop) as url, pytest.raises(kind):
        read(url)


def test_a_list_ends_in_part_where_the_time_is_over() -> None:
    release, scope = threading.Event(), CallScope.lasting(1.5)
    with answering(COIN, page(1, key="a"), lambda _connection: release.wait(5)) as url:
        found = read(url, scope=scope)
        release.set()

    assert (found.balances.outcome, found.balances.resume_key) == (ChainOutcome.PARTIAL, "a")
    assert scope.remaining() == 0


def test_no_more_pages_are_read_than_are_allowed_and_the_rest_is_for_the_next_sync() -> None:
    with answering(COIN, page(1, key="a"), page(2, key="b"), page(3)) as url:
        found = read(url, max_pages=2)

    assert (found.balances.outcome, found.balances.resume_key, found.stopped_by) == (ChainOutcome.PARTIAL, "b", None)


def test_a_reading_that_goes_on_says_what_is_zero_since_it_may_be_stored() -> None:
    with answering(COIN, page(1, balance="0x0"), COIN, page(1, balance="0x0")) as url:
        going_on, from_the_start = read(url, resume_key="a"), read(url)

    assert (going_on.is_resumed, going_on.balances.outcome) == (True, ChainOutcome.OK)
    assert going_on.balances.balances == {NATIVE_TOKEN: 5, token(1): 0}
    assert from_the_start.balances.balances == {NATIVE_TOKEN: 5}


@pytest.mark.parametrize("stop", [INVALID_KEY, *(stop for stop, kind in STOPS if kind not in LIMITS)])
def test_a_page_that_can_not_be_read_again_begins_the_list_anew(stop: bytes) -> None:
    with answering(COIN, stop, page(1)) as url:
        found = read(url, resume_key="gone")

    assert (found.is_resumed, found.balances.outcome) == (False, ChainOutcome.OK)
    assert found.balances.balances == {NATIVE_TOKEN: 5, token(1): 7}


@pytest.mark.parametrize(("stop", "kind"), [(stop, kind) for stop, kind in STOPS if kind in LIMITS])
def test_a_limit_that_is_reached_does_not_begin_the_list_anew(stop: bytes, kind: type[ProviderError]) -> None:
    with answering(COIN, stop, page(1)) as url, pytest.raises(kind):
        read(url, resume_key="a")


def test_a_list_without_end_is_not_read_for_ever() -> None:
    with answering(COIN, page(1, key="a")) as url, pytest.raises(Oversized, match="no end"):
        read(url)


@pytest.mark.parametrize("coin", [b'{"result":"0x"}', b'{"result":null}', b'{"result":"lots"}', b'{"result":7}', b"{}"])
def test_a_wallet_without_its_native_coin_is_not_read(coin: bytes) -> None:
    with answering(http(coin), page(1)) as url, pytest.raises(Malformed):
        read(url)
