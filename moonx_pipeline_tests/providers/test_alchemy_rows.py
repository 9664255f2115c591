"""Alchemy's answers over real HTTP with odd rows in them: a token may be unknown for it, nothing else is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import NATIVE_TOKEN, ZERO_ADDRESS
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, ChainBalances, ChainOutcome, TokenInfo, TokenKey, Way
from moonx_pipeline.providers.alchemy import Alchemy
from moonx_pipeline.providers.alchemy_prices import AlchemyPrices
from moonx_pipeline.providers.errors import (
    BadRequest,
    Malformed,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline_tests.support.odd_json import encoded, odd_rows, odd_values
from moonx_pipeline_tests.support.raw_server import answering, http

WALLET = "0x" + "ab" * 20
GOOD, OTHER = "0x" + "11" * 20, "0x" + "22" * 20

# The rows are made anew for each example; the server stays.
many = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Server:
    """Alchemy, with one body for whatever it is asked."""

    def __init__(self) -> None:
        self.body = b""

    def __call__(self, connection: socket.socket) -> None:
        connection.sendall(http(self.body))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def alchemy(server: Server) -> Iterator[Alchemy]:
    client = HttpClient("alchemy", timeout_s=5, retries=1, retry_delay_s=0, max_body_bytes=1 << 20)
    with answering(server) as url:
        template = url.replace("sekret-key", "{network}{api_key}")
        yield Alchemy({1: "k"}, data_base_url=url, rpc_url_template=template, http=client, max_pages=3)


@pytest.fixture
def source(server: Server) -> Iterator[AlchemyPrices]:
    client = HttpClient("alchemy", timeout_s=5, retries=1, retry_delay_s=0, max_body_bytes=1 << 20)
    with answering(server) as url:
        yield AlchemyPrices({1: "k"}, base_url=url, http=client)


@pytest.fixture
def scope() -> CallScope:
    return CallScope.lasting(60)


def data_row(token: str | None, balance: str = "0x7") -> dict[str, object]:
    return {
        "network": "eth-mainnet",
        "address": WALLET,
        "tokenAddress": token,
        "tokenBalance": balance,
        "tokenMetadata": {"symbol": "GOOD", "name": "Good", "decimals": 6, "logo": None},
        "tokenPrices": [{"currency": "usd", "value": "1.5", "lastUpdatedAt": "2026-01-02T03:04:05Z"}],
        "error": None,
    }


NATIVE_ROW = encoded(data_row(None, "0x1"))
KNOWN_ROW = encoded(data_row(GOOD))


def read(alchemy: Alchemy, server: Server, rows: list[bytes], scope: CallScope, more: bytes = b""):
    server.body = b'{"data":{"tokens":[' + b",".join(rows) + b"]}" + more + b"}"
    return alchemy.read_balances([(WALLET, [1])], with_metadata=True, scope=scope)


def is_of_the_native_coin(row: bytes) -> bool:
    return b'"tokenAddress":null' in row


@many
@given(
    # A second row of the native coin would be no odd one.
    odd=st.lists(odd_rows(data_row(OTHER)).filter(lambda row: not is_of_the_native_coin(row)), max_size=3),
    place=st.integers(0, 3),
)
@example(odd=[encoded(data_row(OTHER), {"tokenAddress": b"NaN"})], place=0)
def test_an_odd_row_of_the_data_api_costs_no_other_token(
    alchemy: Alchemy, server: Server, scope: CallScope, odd: list[bytes], place: int
) -> None:
    rows = [*odd[:place], NATIVE_ROW, KNOWN_ROW, *odd[place:]]

    found = read(alchemy, server, rows, scope)

    reading = found.balances[WALLET, 1]
    assert reading.outcome is ChainOutcome.OK
    assert (reading.balances[NATIVE_TOKEN], reading.balances[GOOD]) == (1, 7)
    assert reading.tokens[GOOD] == TokenInfo("GOOD", "Good", 6)
    assert found.quotes[TokenKey(1, GOOD)].price_usd == Decimal("1.5")
    # The odd token is known rightly, or unknown, or nobody knows which token it is of; never something else.
    assert reading.balances.keys() <= {NATIVE_TOKEN, GOOD, OTHER}
    assert reading.balances.get(OTHER, 7) == 7
    assert reading.unknown | reading.without_balance <= {OTHER}


@many
@given(odd=odd_values, field=st.sampled_from(["tokenMetadata", "tokenPrices"]))
def test_what_is_odd_about_a_name_or_a_price_does_not_cost_the_balance(
    alchemy: Alchemy, server: Server, scope: CallScope, odd: bytes, field: str
) -> None:
    found = read(alchemy, server, [NATIVE_ROW, encoded(data_row(OTHER), {field: odd})], scope)

    assert found.balances[WALLET, 1].balances == {NATIVE_TOKEN: 1, OTHER: 7}


@many
@given(odd=odd_values, field=st.sampled_from(["symbol", "name", "decimals", "logo"]))
def test_an_odd_field_of_a_token_costs_no_other_field(
    alchemy: Alchemy, server: Server, scope: CallScope, odd: bytes, field: str
) -> None:
    good: dict[str, object] = {"symbol": "S", "name": "N", "decimals": 6, "logo": "https://x/l.png"}
    row = encoded(data_row(OTHER), {"tokenMetadata": encoded(good, {field: odd})})

    info = read(alchemy, server, [NATIVE_ROW, row], scope).balances[WALLET, 1].tokens[OTHER]

    said = {"symbol": info.symbol, "name": info.name, "decimals": info.decimals, "logo": info.logo_url}
    assert {key: value for key, value in said.items() if key != field} == {
        key: value for key, value in good.items() if key != field
    }
    assert said[field] is None or isinstance(said[field], int if field == "decimals" else str)


@pytest.mark.parametrize(
    ("decimals", "known"),
    [
        (b"0", 0),
        (b"18", 18),
        (b"77", 77),
        (b"78", None),
        (b"-1", None),
        (b"18.0", 18),
        (b"18.5", None),
        (b'"18"', 18),
        (b'"0x12"', 18),
        (b'"0x4e"', None),
        (b'"0x"', None),
        (b'"1e1"', 10),
        (b'"many"', None),
        (b'"NaN"', None),
        (b"1e999999999", None),
        (b"1.157920892373162e+77", None),
        (b"1e400", None),
        (b"9" * 78, None),
        (b"true", None),
        (b"null", None),
        (b"[18]", None),
    ],
)
def test_decimals_that_no_token_has_are_unknown_and_the_name_is_kept(
    alchemy: Alchemy, server: Server, scope: CallScope, decimals: bytes, known: int | None
) -> None:
    metadata = b'{"symbol":"S","name":"N","decimals":' + decimals + b',"logo":null}'
    by_list = read(alchemy, server, [NATIVE_ROW, encoded(data_row(OTHER), {"tokenMetadata": metadata})], scope)
    server.body = b'[{"id":0,"result":' + metadata + b"}]"
    by_rpc = alchemy.token_metadata(1, [OTHER], scope)

    assert by_list.balances[WALLET, 1].tokens[OTHER] == by_rpc[OTHER] == TokenInfo("S", "N", known)


WORD = f"{5 * 10**18:064x}"
BALANCES = [
    ("0x0", 0),
    ("0x" + "0" * 64, 0),
    ("0xde0b6b3a7640000", 10**18),
    ("0x02c68af0bb140000", 0x02C68AF0BB140000),
    ("0X1F", 31),
    ("0x" + "f" * 64, 2**256 - 1),
    # More than one word: the first is the balance.
    ("0x" + WORD + f"{0x20:064x}{7:064x}", 5 * 10**18),
    ("0x" + WORD * 2, 5 * 10**18),
    ("0x" + "0" * 64 + "f" * 64, 0),
    # No number, or none that a contract can have answered.
    ("0x", None),
    ("", None),
    ("0x" + "f" * 65, None),
    ("0x" + WORD + "ff", None),
    ("1000", None),
    ("0x-1", None),
    ("0x1_0", None),
    (" 0x1", None),
    ("0xzz", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "balance"), BALANCES)
def test_a_balance_is_read_the_same_by_every_way_and_is_unknown_rather_than_wrong(
    alchemy: Alchemy, server: Server, scope: CallScope, text: str | None, balance: int | None
) -> None:
    row = {**data_row(OTHER), "tokenBalance": text}
    by_list = read(alchemy, server, [NATIVE_ROW, KNOWN_ROW, encoded(row)], scope).balances[WALLET, 1]
    rows = [{"contractAddress": GOOD, "tokenBalance": "0x7"}, {"contractAddress": OTHER, "tokenBalance": text}]
    server.body = json.dumps({"result": {"tokenBalances": rows}}).encode()
    by_contract = alchemy.token_balances(WALLET, 1, [GOOD, OTHER], scope)

    for reading in (by_list, by_contract):
        assert reading.balances[GOOD] == 7
        assert reading.unknown == (set() if balance is not None else {OTHER})
        assert reading.balances.get(OTHER, 0) == (balance or 0)


ERRORS = [
    ("execution reverted", True),
    ({"message": "execution reverted: paused"}, True),
    ({"code": 3, "message": ""}, True),
    ("execution timeout", False),
    ({"message": "rate limit"}, False),
    (["odd"], False),
    (7, False),
]


@pytest.mark.parametrize(("error", "is_of_contract"), ERRORS)
def test_a_row_with_an_error_is_unknown_and_a_revert_is_the_contracts_own_answer(
    alchemy: Alchemy, server: Server, scope: CallScope, error: object, is_of_contract: bool
) -> None:
    row = {**data_row(OTHER), "tokenBalance": None, "error": error}
    by_list = read(alchemy, server, [NATIVE_ROW, KNOWN_ROW, encoded(row)], scope).balances[WALLET, 1]
    rows = [
        {"contractAddress": OTHER, "tokenBalance": None, "error": error},
        {"contractAddress": GOOD, "tokenBalance": "0x7"},
    ]
    server.body = json.dumps({"result": {"tokenBalances": rows}}).encode()
    by_contract = alchemy.token_balances(WALLET, 1, [GOOD, OTHER], scope)

    for reading in (by_list, by_contract):
        assert reading.balances[GOOD] == 7
        assert (reading.unknown, reading.without_balance) == ((set(), {OTHER}) if is_of_contract else ({OTHER}, set()))


LEGACY_ETHER = "0xDeadDeAddeAddEAddeadDEaDDEAdDeaDDeAD0000"


@pytest.mark.parametrize(
    "address", [ZERO_ADDRESS, LEGACY_ETHER, NATIVE_TOKEN.upper(), NATIVE_TOKEN, "0x11", "", "ether"]
)
def test_a_row_that_is_of_no_token_of_its_own_is_left_out(
    alchemy: Alchemy, server: Server, scope: CallScope, address: str
) -> None:
    by_list = read(alchemy, server, [NATIVE_ROW, encoded(data_row(address, "0x99"))], scope).balances[WALLET, 1]
    server.body = json.dumps(
        {"result": {"tokenBalances": [{"contractAddress": address, "tokenBalance": "0x99"}]}}
    ).encode()
    by_contract = alchemy.token_balances(WALLET, 1, [], scope)

    assert by_list.balances == {NATIVE_TOKEN: 1}
    assert by_contract.balances == {}
    assert by_list.unknown | by_contract.unknown == set()


@many
@given(odd=st.lists(odd_rows({"contractAddress": OTHER, "tokenBalance": "0x7", "error": None}), max_size=3))
def test_an_odd_row_of_json_rpc_costs_no_other_token(
    alchemy: Alchemy, server: Server, scope: CallScope, odd: list[bytes]
) -> None:
    good = encoded({"contractAddress": GOOD, "tokenBalance": "0x7", "error": None})
    server.body = b'{"result":{"tokenBalances":[' + b",".join([*odd, good, *odd]) + b"]}}"

    reading = alchemy.token_balances(WALLET, 1, [GOOD, OTHER], scope)

    assert reading.balances[GOOD] == 7
    assert reading.balances.keys() | reading.unknown | reading.without_balance == {GOOD, OTHER}


@many
@given(odd=st.lists(odd_rows({"jsonrpc": "2.0", "id": 1, "result": {"symbol": "S", "decimals": 6}}), max_size=3))
def test_an_odd_name_in_a_batch_costs_no_other_name(
    alchemy: Alchemy, server: Server, scope: CallScope, odd: list[bytes]
) -> None:
    good = encoded({"jsonrpc": "2.0", "id": 0, "result": {"symbol": "GOOD", "name": "Good", "decimals": 18}})
    server.body = b"[" + b",".join([*[row for row in odd if b'"id": 0' not in row], good]) + b"]"

    found = alchemy.token_metadata(1, [GOOD, OTHER], scope)

    assert found[GOOD] == TokenInfo("GOOD", "Good", 18)


INVALID = "Invalid params: expected a valid token contract address."


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ({"id": 1, "result": None}, UNKNOWN_TOKEN),
        ({"id": 1, "result": {"symbol": None, "name": None, "decimals": None, "logo": None}}, UNKNOWN_TOKEN),
        ({"id": 1, "error": {"code": -32602, "message": INVALID}}, UNKNOWN_TOKEN),
        ({"id": 1, "error": {"code": 3, "message": "execution reverted"}}, UNKNOWN_TOKEN),
        ({"id": 1, "error": {"code": 429, "message": "exceeded"}}, None),
        ({"id": 1, "error": {"code": -32000, "message": "Unable to complete request at this time."}}, None),
        ({"id": 2, "result": {}}, None),
    ],
)
def test_a_name_unknown_to_alchemy_is_unknown_and_one_that_it_put_off_is_absent(
    alchemy: Alchemy, server: Server, scope: CallScope, answer: dict[str, object], known: TokenInfo | None
) -> None:
    server.body = b'[{"id":0,"result":{"symbol":"GOOD","name":"Good","decimals":18}},' + encoded(answer) + b"]"

    found = alchemy.token_metadata(1, [GOOD, OTHER], scope)

    assert found.get(OTHER) == known
    assert found[GOOD].symbol == "GOOD"


@many
@given(odd=st.lists(odd_rows({"network": "eth-mainnet", "address": OTHER, "prices": []}), max_size=3))
def test_an_odd_price_row_costs_no_other_price(
    source: AlchemyPrices, server: Server, scope: CallScope, odd: list[bytes]
) -> None:
    good = encoded({"network": "eth-mainnet", "address": GOOD, "prices": [{"currency": "usd", "value": "2.5"}]})
    server.body = b'{"data":[' + b",".join([*odd, good, *odd]) + b"]}"

    quotes = source.prices([TokenKey(1, GOOD), TokenKey(1, OTHER)], scope)

    assert quotes[TokenKey(1, GOOD)].price_usd == Decimal("2.5")


@pytest.mark.parametrize("good", [b'"2.5"', b"2.5", b'"25e-1"'])
def test_an_odd_price_beside_a_good_one_of_the_same_token_is_passed_over(
    source: AlchemyPrices, server: Server, scope: CallScope, good: bytes
) -> None:
    odd = [
        b"7",
        *(b'{"currency":"usd","value":' + value + b"}" for value in (b'"many"', b'"NaN"', b"null", b"-1", b"0")),
    ]
    prices = (
        b"[" + b",".join([*odd, b'{"currency":"eur","value":"9"}', b'{"currency":"USD","value":' + good + b"}"]) + b"]"
    )
    server.body = b'{"data":[' + encoded({"network": "eth-mainnet", "address": GOOD}, {"prices": prices}) + b"]}"

    assert source.prices([TokenKey(1, GOOD)], scope)[TokenKey(1, GOOD)].price_usd == Decimal("2.5")


PARTIAL = [
    (b'{"partialErrors":[{"network":"eth-mainnet","reason":"upstream_timeout"}]}', "upstream_timeout"),
    (b'{"partialErrors":[{"network":"eth-mainnet","message":"Internal server error"}]}', "Internal server error"),
    (b'{"message":"Failed on certain networks","partialErrors":[{"network":"eth-mainnet"}]}', "Failed on certain"),
    # An error that names no network that is known may be of any.
    (b'{"message":"Failed to fetch tokens on certain networks"}', "Failed to fetch"),
    (b'{"partialErrors":[7]}', "it did not answer"),
    (b'{"partialErrors":[{"network":5,"reason":{"a":1}}]}', "it did not answer"),
    (b'{"partialErrors":"many"}', "it did not answer"),
    (b'{"partialErrors":[{"network":"ETH_MAINNET","reason":"late"}]}', "late"),
    (b'"upstream"', "upstream"),
]


@pytest.mark.parametrize(("error", "reason"), PARTIAL)
def test_a_network_that_alchemy_says_it_could_not_read_is_not_read(
    alchemy: Alchemy, server: Server, scope: CallScope, error: bytes, reason: str
) -> None:
    found = read(alchemy, server, [NATIVE_ROW, KNOWN_ROW], scope, b',"error":' + error)

    assert found.balances[WALLET, 1].outcome is ChainOutcome.FAILED
    assert reason in (found.balances[WALLET, 1].reason or "")
    assert found.outages.keys() == {1}


@pytest.mark.parametrize(
    "rows", [[], [KNOWN_ROW], [encoded(data_row(None, "0x"))], [encoded({**data_row(None), "error": "late"})]]
)
def test_a_chain_without_its_native_coin_is_not_read_and_no_outage(
    alchemy: Alchemy, server: Server, scope: CallScope, rows: list[bytes]
) -> None:
    found = read(alchemy, server, rows, scope)

    assert found.balances[WALLET, 1].outcome is ChainOutcome.FAILED
    assert "native coin of Ethereum" in (found.balances[WALLET, 1].reason or "")
    assert found.outages == {}


@pytest.mark.parametrize(
    ("blocks", "block"),
    [
        (b'{"eth-mainnet":{"blockNumber":"0x10","blockHash":"0x1","blockTimestamp":"2026-01-01T00:00:00Z"}}', 16),
        (b'{"matic-mainnet":{"blockNumber":"0x10"}}', None),
        (b'{"eth-mainnet":{"blockNumber":16}}', None),
        (b'{"eth-mainnet":{"blockNumber":"lots"}}', None),
        (b'{"eth-mainnet":{"blockNumber":"0x' + b"f" * 40 + b'"}}', None),
        (b"null", None),
        (b"[1]", None),
    ],
)
def test_the_block_of_the_balances_is_known_where_alchemy_says_it(
    alchemy: Alchemy, server: Server, scope: CallScope, blocks: bytes, block: int | None
) -> None:
    found = read(alchemy, server, [NATIVE_ROW], scope, b',"blockMetadata":' + blocks)

    assert found.balances[WALLET, 1] == ChainBalances(
        WALLET,
        1,
        ChainOutcome.OK,
        {NATIVE_TOKEN: 1},
        source="alchemy",
        block=block,
        way=Way.DATA_API,
        known_block=block,
    )


REFUSALS: list[tuple[object, type[ProviderError]]] = [
    ({"code": 429, "message": "exceeded its compute units"}, RateLimited),
    ({"code": -32005, "message": "limit"}, RateLimited),
    ({"code": -32000, "message": "Too many requests"}, RateLimited),
    ({"code": -32600, "message": "Monthly capacity limit exceeded."}, QuotaExhausted),
    ({"code": -32602, "message": "invalid 1st argument"}, BadRequest),
    ({"code": -32000, "message": "Unable to complete request at this time."}, Unavailable),
    ({"code": "odd"}, Unavailable),
    ("odd", Unavailable),
    ({"message": {"odd": 1}}, Unavailable),
]


@pytest.mark.parametrize(("error", "kind"), REFUSALS)
def test_a_refusal_inside_an_answer_of_status_200_is_an_error_of_its_kind(
    alchemy: Alchemy, server: Server, scope: CallScope, error: object, kind: type[ProviderError]
) -> None:
    server.body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()
    asks = [
        lambda: alchemy.rpc_balances(WALLET, 1, scope),
        lambda: alchemy.token_balances(WALLET, 1, [GOOD], scope),
        lambda: alchemy.token_metadata(1, [GOOD], scope),
    ]
    for ask in asks:
        with pytest.raises(ProviderError) as problem:
            ask()
        assert type(problem.value) is kind


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"data":null}', b'{"data":{"tokens":7}}', b'{"data":{"tokens":[],"pageKey":7}}']
)
def test_an_envelope_that_is_not_as_documented_is_malformed(
    alchemy: Alchemy, server: Server, scope: CallScope, body: bytes
) -> None:
    server.body = body

    with pytest.raises(Malformed):
        alchemy.read_balances([(WALLET, [1])], with_metadata=False, scope=scope)
