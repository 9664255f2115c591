"""What each refusal means, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from moonx_pipeline.providers.classification import refusal, retry_time
from moonx_pipeline.providers.error_table import EFFECTS, effect_of
from moonx_pipeline.providers.errors import (
    BadRequest,
    Banned,
    BatchTooLarge,
    CallTimeout,
    DeadlineOver,
    KeyRejected,
    Malformed,
    NetworkNotEnabled,
    Oversized,
    PartsRefused,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Restricted,
    Unavailable,
)
from moonx_pipeline.providers.evm import WrongChain
from moonx_pipeline.storage.protection.breaker_rows import Transition
from moonx_pipeline.sync.protection.alerts import breaker_alerts

HTML = b"<!DOCTYPE html><html><body>Sorry, you have been blocked</body></html>"
MONTHLY = b'{"error":{"code":-32600,"message":"Monthly capacity limit exceeded. Visit https://x to upgrade"}}'
LIMIT_10012 = (
    b'{"error_code":10012,"status":{"error_message":'
    b'"Number of contract addresses exceeds the allowed limit (10 addresses)."}}'
)


@pytest.mark.parametrize(
    ("provider", "status", "body", "meaning"),
    [
        ("alchemy", 429, b'{"error":{"code":429,"message":"exceeded its compute units"}}', RateLimited),
        ("alchemy", 403, MONTHLY, QuotaExhausted),
        ("alchemy", 429, MONTHLY, QuotaExhausted),
        ("alchemy", 403, b"Monthly capacity limit exceeded.", QuotaExhausted),
        ("alchemy", 401, b'{"error":{"code":-32600,"message":"Must be authenticated!"}}', KeyRejected),
        ("alchemy", 401, b'{"error":"Must be authenticated!"}', KeyRejected),
        ("alchemy", 401, b"", KeyRejected),
        ("alchemy", 403, b'{"error":{"message":"App is inactive."}}', KeyRejected),
        ("alchemy", 403, HTML, Restricted),
        ("alchemy", 400, b'{"error":{"message":"too many addresses"}}', BadRequest),
        ("alchemy", 400, b'{"errorMessage":{"message":"Token not found: 0x0"}}', BadRequest),
        ("alchemy", 500, b'{"error":{"code":-32603,"message":"internal server error"}}', Unavailable),
        ("alchemy", 503, HTML, Unavailable),
        ("alchemy", 504, b"", Unavailable),
        ("binance", 429, b'{"code":-1003,"msg":"Too much request weight used"}', RateLimited),
        ("binance", 418, b'{"code":-1003,"msg":"IP banned until 1660090423228."}', Banned),
        ("binance", 403, HTML, Restricted),
        ("binance", 403, b"", Restricted),
        ("binance", 451, b'{\n "code": 0,\n "msg": "Service unavailable from a restricted location"\n}', Restricted),
        ("binance", 400, b'{"code":-1121,"msg":"Invalid symbol."}', BadRequest),
        ("binance", 503, b'{"code":-1008,"msg":"Server is currently overloaded"}', Unavailable),
        ("coingecko", 429, b'{"status":{"error_code":429,"error_message":"exceeded the Rate Limit"}}', RateLimited),
        ("coingecko", 429, HTML, RateLimited),
        ("coingecko", 403, HTML, Restricted),
        ("coingecko", 401, b'{"status":{"error_code":10002,"error_message":"API Key Missing"}}', KeyRejected),
        ("coingecko", 401, b'{"status":{"error_code":10005,"error_message":"limited to PRO API"}}', KeyRejected),
        (
            "coingecko",
            400,
            b'{"error_code":10010,"status":{"error_message":"please change your root URL"}}',
            KeyRejected,
        ),
        ("coingecko", 400, LIMIT_10012, BatchTooLarge),
        ("coingecko", 414, HTML, BatchTooLarge),
        ("alchemy", 403, b'{"error":{"message":"POLYGON_MAINNET is not enabled for this app."}}', NetworkNotEnabled),
        ("alchemy", 400, b'{"error":{"message":"BASE_MAINNET is not enabled for this app."}}', NetworkNotEnabled),
        ("coingecko", 404, b'{"error":"coin not found"}', BadRequest),
        ("coingecko", 422, b'{"error":"Missing parameter vs_currencies"}', BadRequest),
        ("coingecko", 408, b"", Unavailable),
        ("dexscreener", 429, b"error code: 1015", RateLimited),
        ("dexscreener", 400, b"", BadRequest),
        ("dexscreener", 502, HTML, Unavailable),
        ("rpc", 302, b"", Malformed),
        ("rpc", 403, HTML, KeyRejected),
        ("rpc", 429, b"", RateLimited),
        # Digits that happen to be in a page are no code.
        ("coingecko", 503, b"<html>Ray ID: 8f10010a</html>", Unavailable),
        ("alchemy", 101, b"", Malformed),
        ("alchemy", 103, b"", Malformed),
        ("alchemy", 600, b"", Malformed),
        ("binance", 999, HTML, Malformed),
    ],
)
def test_each_refusal_means_one_thing(provider: str, status: int, body: bytes, meaning: type) -> None:
    error = refusal(provider, status, {}, body)

    assert type(error) is meaning
    assert (error.provider, error.status) == (provider, status)


@pytest.mark.parametrize(
    ("error", "repeated", "blocks", "breaker", "opens_for_minutes"),
    [
        (Unavailable, True, False, "failure", None),
        (CallTimeout, False, False, "failure", None),
        (Malformed, True, False, "failure", None),
        (RateLimited, True, True, "none", None),
        (Banned, False, True, "none", None),
        (QuotaExhausted, False, False, "quota_exhausted", 60),
        (KeyRejected, False, False, "key_rejected", 10),
        (NetworkNotEnabled, False, False, "key_rejected", 10),
        (Restricted, False, False, "restricted", 60),
        (BadRequest, False, False, "none", None),
        (BatchTooLarge, False, False, "none", None),
        (DeadlineOver, False, False, "none", None),
        (WrongChain, False, False, "none", None),
        (Oversized, False, False, "none", None),
        (PartsRefused, False, False, "none", None),
    ],
)
def test_each_kind_of_error_has_its_effects(
    error: type, repeated: bool, blocks: bool, breaker: str, opens_for_minutes: int | None
) -> None:
    made = error("m", provider="p", limit=None) if error is BatchTooLarge else error("m", provider="p")

    effect = effect_of(made)

    assert (effect.repeat, effect.block, effect.breaker) == (repeated, blocks, breaker)
    assert effect.open_for == (timedelta(minutes=opens_for_minutes) if opens_for_minutes else None)


@pytest.mark.parametrize("error", [QuotaExhausted, KeyRejected])
def test_a_refusal_of_the_account_is_free_and_has_an_alert_of_its_own(error: type[ProviderError]) -> None:
    effect = effect_of(error("m", provider="alchemy"))
    opened = Transition("alchemy:1", "closed", "open", 2, effect.breaker, None, 1, None, None, "m")

    (alert,) = breaker_alerts([opened])

    assert effect.of_account
    assert not effect.is_billed
    assert alert.payload["data"]["alertType"] == f"provider_{error.kind}"


def test_only_these_refusals_are_of_the_account() -> None:
    assert {kind for kind, effect in EFFECTS.items() if effect.of_account} == {QuotaExhausted, KeyRejected}


@pytest.mark.parametrize("error", [Unavailable, Malformed, BadRequest, Oversized, PartsRefused])
def test_an_answer_that_is_no_refusal_of_rate_or_key_is_billed(error: type[ProviderError]) -> None:
    assert effect_of(error("m", provider="alchemy")).is_billed


@pytest.mark.parametrize("provider", ["alchemy", "binance", "coingecko", "defillama", "dexscreener", "rpc"])
def test_every_status_there_can_be_has_a_meaning(provider: str) -> None:
    for status in range(1000):
        error = refusal(provider, status, {}, b"{}")
        assert (error is None) == (200 <= status < 300)
        assert error is None or isinstance(error, ProviderError)


def test_what_is_quoted_of_a_refusal_can_be_stored() -> None:
    error = refusal("alchemy", 400, {}, b'{"message":"a\x00b"}')

    assert error is not None
    assert "\0" not in str(error)
    assert str(Unavailable("half a pair: \ud800.", provider="alchemy")) == "half a pair: \\ud800."


def test_what_the_provider_said_is_told_with_its_code() -> None:
    error = refusal("binance", 400, {}, b'{"code":-1121,"msg":"Invalid symbol."}')

    assert error is not None
    assert error.code == -1121
    assert "Invalid symbol." in str(error)


def test_the_allowed_size_of_a_batch_is_read() -> None:
    error = refusal("coingecko", 400, {}, LIMIT_10012)

    assert isinstance(error, BatchTooLarge)
    assert error.limit == 10


def test_the_time_to_come_back_is_read_in_every_form() -> None:
    now = datetime.now(UTC)
    in_seconds = retry_time({"Retry-After": "30"})
    as_date = retry_time({"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, longest=timedelta(days=99_999))

    assert in_seconds is not None
    assert timedelta(seconds=29) < in_seconds - now < timedelta(seconds=31)
    assert as_date == datetime(2099, 10, 21, 7, 28, tzinfo=UTC)
    assert retry_time({}, "IP banned until 1660090423228.") == datetime.fromtimestamp(1660090423.228, UTC)
    for odd in ("soon", "²", "-5", "Wed, 99 Foo 99999 99:99:99 GMT", "9" * 400):
        assert retry_time({"Retry-After": odd}) is None
    part_of_a_second = retry_time({"Retry-After": "0.5"})
    assert part_of_a_second is not None
    assert part_of_a_second - now < timedelta(seconds=2)


@pytest.mark.parametrize("after", ["31536000", "7201", "Wed, 21 Oct 2099 07:28:00 GMT"])
@pytest.mark.parametrize(
    ("provider", "status", "longest"),
    [("coingecko", 429, 1), ("alchemy", 429, 1), ("dexscreener", 503, 1), ("binance", 418, 72)],
)
def test_an_odd_header_does_not_keep_anybody_from_asking_again(
    provider: str, status: int, longest: int, after: str
) -> None:
    error = refusal(provider, status, {"Retry-After": after}, b"")
    hours = timedelta(hours=min(longest, 2) if after == "7201" else longest)
    assert error is not None
    assert error.retry_at is not None
    assert abs(error.retry_at - datetime.now(UTC) - hours) < timedelta(minutes=1)


def test_control_characters_that_a_provider_sends_are_spelled_out() -> None:
    error = refusal("alchemy", 400, {}, '{"message":"a\x1b[31mb\x9b\u202e"}'.encode())

    assert str(error).endswith(r": a\u001b[31mb\u009b\u202e")
