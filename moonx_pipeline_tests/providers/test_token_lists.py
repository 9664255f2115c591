"""Token lists by URL: one odd row costs itself, and what is no list is an error."""

import json
import time
from collections.abc import Iterator

import pytest

from moonx_pipeline.domain.token_list import ListedToken, TokenList, why_implausible
from moonx_pipeline.providers import token_lists
from moonx_pipeline.providers.bodies import MAX_TEXT
from moonx_pipeline.providers.errors import BadRequest, CallTimeout, Malformed, Oversized, ProviderError, Unavailable
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.providers.token_lists import TokenLists, list_name, parse_token_list
from moonx_pipeline_tests.support.list_server import ListServer, serving_lists
from moonx_pipeline_tests.support.raw_server import answering
from moonx_pipeline_tests.support.raw_server import http as raw_answer

USDC = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
FLUX = "0x469eda64aed3a3ad6f868c44564291aa415cb1d9"


@pytest.fixture
def lists() -> Iterator[ListServer]:
    with serving_lists() as server:
        yield server


def read(url: str, *, seconds: float = 5, most: int = 10_000_000) -> TokenList:
    http = HttpClient("token_lists", timeout_s=seconds, retries=1, retry_delay_s=0, max_body_bytes=most)
    return TokenLists(http=http).read(url, CallScope.lasting(10))


def row(**fields: object) -> dict[str, object]:
    return {"chainId": 1, "address": USDC, "symbol": "USDC", "name": "USD Coin", **fields}


def parsed(*rows: object) -> tuple[ListedToken, ...]:
    return parse_token_list(json.dumps({"tokens": rows}).encode())[1]


def test_a_list_is_read_with_its_version_and_without_decimals(lists: ListServer) -> None:
    logo = "https://logos.example/usdc.png"
    document = {
        "name": "A list",
        "version": {"major": 3, "minor": 0, "patch": 189},
        "tokens": [row(decimals=6, logoURI=logo, extensions={"coingeckoId": "forged"}), row(address=FLUX, decimals=8)],
    }
    lists.put("/a.json", document)

    taken = read(f"{lists.url}/a.json?key=sekrit")

    usdc = ListedToken(1, USDC.lower(), "USDC", "USD Coin", logo)
    assert taken == TokenList(f"{lists.url}/a.json", "3.0.189", (ListedToken(1, FLUX, "USDC", "USD Coin"), usdc))
    assert lists.asked == ["/a.json?key=sekrit"]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "0x",
        [],
        {},
        row(address=None),
        row(address=1),
        row(address="EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
        row(address=USDC[:-1]),
        row(address=USDC + "0"),
        row(address=USDC + "\n"),
        row(address="0x" + "g" * 40),
        row(chainId=501000101),
        row(chainId=31337),
        row(chainId=-1),
        row(chainId=2**70),
        row(chainId="1"),
        row(chainId=True),
        row(chainId=1.0),
        row(chainId=1.5),
        row(chainId=[1]),
    ],
)
def test_a_row_that_names_no_token_of_our_chains_costs_only_itself(odd: object) -> None:
    found = parsed(odd, row(chainId=10), odd)

    assert [(token.chain_id, token.token_address) for token in found] == [(10, USDC.lower())]


@pytest.mark.parametrize(
    ("chain_id", "address"),
    [
        (1, "0x" + "0" * 40),
        (137, "0x0000000000000000000000000000000000001010"),
        (10, "0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000"),
        (8453, "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"),
    ],
)
def test_native_coins_that_stand_in_lists_as_tokens_are_none(chain_id: int, address: str) -> None:
    assert parsed(row(chainId=chain_id, address=address)) == ()


def test_a_contract_is_one_token_of_each_chain_and_its_first_row_counts() -> None:
    found = parsed(row(symbol="FIRST"), row(address=USDC.lower(), symbol="SECOND"), row(chainId=10, symbol="THERE"))

    assert [(token.chain_id, token.symbol) for token in found] == [(1, "FIRST"), (10, "THERE")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('"\\u0000U\\u0000"', "U"),
        ('"\\ud800U"', "\ufffdU"),
        ('"  U  "', "U"),
        ('"   "', None),
        ('""', None),
        ("7", None),
        ("null", None),
        ('["U"]', None),
        (f'"{"U" * 1_000_000}"', "U" * MAX_TEXT),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_hostile_name_costs_neither_its_contract_nor_the_list(given: str, kept: str | None) -> None:
    odd = f'{{"chainId":1,"address":"{USDC}","symbol":{given},"name":{given}}}'
    body = f'{{"tokens":[{odd},{json.dumps(row(chainId=10))}]}}'

    first, second = parse_token_list(body.encode())[1]

    assert (first.symbol, first.name) == (kept, kept)
    assert second.symbol == "USDC"


def test_bytes_that_are_no_text_and_rows_without_end_cost_only_themselves() -> None:
    body = b'{"tokens":[{"chainId":1,"address":"%s","symbol":"\xff\xfe"},%s]}' % (
        USDC.encode(),
        json.dumps(row(chainId=10)).encode(),
    )

    assert [token.chain_id for token in parse_token_list(body)[1]] == [1, 10]


@pytest.mark.parametrize(
    "logo", ["ipfs://Qm", "data:image/png;base64,AA", "http://a.example/x", "https://" + "a" * 500, 5]
)
def test_a_logo_that_can_not_be_fetched_is_none(logo: object) -> None:
    assert parsed(row(logoURI=logo))[0].logo_url is None


@pytest.mark.parametrize("version", [None, "1.0", {}, {"major": 1}, {"major": "1", "minor": 0, "patch": 0}, [1, 2, 3]])
def test_a_version_in_another_form_costs_nothing(version: object) -> None:
    found = parse_token_list(json.dumps({"version": version, "tokens": [row()]}).encode())

    assert (found[0], len(found[1])) == ("unknown", 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"tokens":{}}',
        b'{"tokens":null}',
        b"<html>",
        b'{"tokens":[{"chainId":1',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:12].decode(),
)
def test_what_is_no_list_is_an_error_that_says_so(lists: ListServer, body: bytes) -> None:
    lists.put("/a.json", body)

    with pytest.raises(Malformed, match="token_lists sent"):
        read(f"{lists.url}/a.json")


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [(301, Malformed, "points to another address"), (404, BadRequest, "404"), (503, Unavailable, "503")],
)
def test_a_refusal_is_an_error_without_the_url(
    lists: ListServer, status: int, error: type[ProviderError], text: str
) -> None:
    lists.put("/a.json", b"", status, Location="https://elsewhere.example/")

    with pytest.raises(error, match=text) as problem:
        read(f"{lists.url}/a.json?key=sekrit")

    assert "sekrit" not in str(problem.value)


def test_a_list_without_end_is_cut_off_by_size_and_by_time(lists: ListServer) -> None:
    lists.put("/a.json", {"tokens": [row()] * 1000})
    with pytest.raises(Oversized, match="more than 50000 bytes"):
        read(f"{lists.url}/a.json", most=50_000)

    def drip(connection) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            connection.sendall(b" ")
            time.sleep(0.05)

    with answering(drip) as url:
        started = time.monotonic()
        with pytest.raises(CallTimeout):
            read(url, seconds=1)
        assert time.monotonic() - started < 10


def test_a_list_that_breaks_off_is_not_taken_for_a_shorter_one() -> None:
    whole = raw_answer(json.dumps({"tokens": [row(), row(chainId=10)]}).encode())

    with answering(whole[:-40]) as url, pytest.raises(Unavailable):
        read(url)


def test_more_rows_than_any_list_has_are_refused_and_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_lists, "MAX_ROWS", 2)

    assert len(parsed(row(), row(chainId=10))) == 2
    with pytest.raises(Oversized, match="3 rows"):
        parsed(row(), row(chainId=10), row(chainId=137))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://tokens.example", "https://tokens.example"),
        ("https://ann:pass@tokens.example:8443/a/b.json?key=sekrit#part", "https://tokens.example:8443/a/b.json"),
    ],
)
def test_a_list_is_named_by_its_url_without_what_may_be_secret(url: str, name: str) -> None:
    assert list_name(url) == name


@pytest.mark.parametrize(("before", "now"), [(0, 0), (10, 0), (10, 4), (1, 0)])
def test_an_answer_with_nothing_or_less_than_half_is_not_taken(before: int, now: int) -> None:
    assert "not taken for the truth" in (why_implausible(before, now) or "")


@pytest.mark.parametrize(("before", "now"), [(0, 1), (10, 5), (10, 10), (10, 1000), (1, 1)])
def test_an_answer_with_half_or_more_is_taken(before: int, now: int) -> None:
    assert why_implausible(before, now) is None
