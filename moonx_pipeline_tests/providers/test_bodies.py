"""Answers are read row by row: what can't be understood of one costs no other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.providers.bodies import UNREADABLE, Checked, by_row, clean_text, leniently, read_time, repaired
from moonx_pipeline_tests.support.odd_json import encoded, odd_rows

Row = TypeVar("Row")


class Thing(msgspec.Struct):
    name: str
    count: int = 0


class Answer(msgspec.Struct, Generic[Row]):
    rows: list[Row]
    by_key: dict[str, Row] = {}


decode = by_row(
    msgspec.json.Decoder(Answer[Thing]), msgspec.json.Decoder(Answer[msgspec.Raw]), msgspec.json.Decoder(Thing)
)
GOOD = {"name": "good", "count": 7}


@given(st.lists(odd_rows(GOOD), max_size=4), st.lists(odd_rows(GOOD), max_size=4))
def test_a_bad_row_never_costs_another_row(before: list[bytes], after: list[bytes]) -> None:
    rows = [*before, encoded(GOOD), *after]
    keys = {f"k{number}".encode(): row for number, row in enumerate(rows)}
    mapping = b",".join(b'"' + key + b'":' + row for key, row in keys.items())

    said = decode(b'{"rows":[' + b",".join(rows) + b'],"by_key":{' + mapping + b"}}")

    assert Thing("good", 7) in said.rows
    assert said.by_key[f"k{len(before)}"] == Thing("good", 7)
    assert all(isinstance(thing, Thing) for thing in [*said.rows, *said.by_key.values()])
    assert len(said.rows) == len(said.by_key) <= len(rows)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"rows":{}}',
        b'{"rows":[',
        b'{"by_key":{}}',
        b'{"rows":[' + b"[" * 5000,
        b"<html>",
        b"\xff",
    ],
)
def test_an_envelope_that_is_not_as_documented_is_an_error_all_the_same(body: bytes) -> None:
    with pytest.raises(UNREADABLE):
        decode(body)
    assert Checked("alchemy", decode)(200, {}, body) is not None


def test_lists_within_lists_without_end_are_malformed() -> None:
    body = b'{"rows":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    problem = Checked("alchemy", decode)(200, {}, body)

    assert "without end" in str(problem)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_is_right_is_not_changed_by_repairs(value: object) -> None:
    plain = json.loads(json.dumps(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    assert json.loads(repaired(json.dumps(plain).encode())) == plain
    assert json.loads(repaired(json.dumps(plain, ensure_ascii=False).encode())) == plain


@given(st.text(alphabet=st.sampled_from('\\u"d8dc0aé\ud800\udc00\n\0 😀'), max_size=12))
def test_a_text_with_anything_in_it_is_read_and_can_be_stored(text: str) -> None:
    body = json.dumps([text]).encode()

    (said,) = msgspec.json.decode(repaired(body), type=list[str])

    said.encode()  # would raise for half a pair
    meant = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert said.replace("\ufffd", "") == meant.replace("\ufffd", "")
    assert "\0" not in (clean_text(said) or "")
    (clean_text(text) or "").encode()


def test_a_backslash_before_what_looks_like_half_a_pair_is_left_alone() -> None:
    assert repaired(rb'["\\ud800", "\ud83d\ude00", "\ud83d", "NaN", NaN]') == (
        rb'["\\ud800", "\ud83d\ude00", "' + "\ufffd".encode() + rb'", "NaN", null]'
    )


def test_a_part_that_can_not_be_read_is_none() -> None:
    number = msgspec.json.Decoder(int)
    assert [leniently(number, raw) for raw in (b"7", b"7.5", b'"7"', b"1e400", b"")] == [7, None, None, None, None]


NEW_YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "at"),
    [
        (Decimal(1767268800), NEW_YEAR),
        (1767268800.0, NEW_YEAR),
        (1767268800000, NEW_YEAR),
        ("2026-01-01T12:00:00Z", NEW_YEAR),
        ("2026-01-01T12:00:00", NEW_YEAR),
        ("2026-01-01T14:00:00+02:00", NEW_YEAR),
        (None, None),
        (0, None),
        ("", None),
        ("soon", None),
        (float("nan"), None),
        # What programs say where they know no time, or a wrong one.
        (1, None),
        (-62135596800, None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("1970-01-01T00:00:00Z", None),
        ("2099-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        (Decimal(253402300799), None),
        (Decimal("1e300"), None),
    ],
)
def test_a_time_is_one_that_a_price_can_have(said: Decimal | float | str | None, at: datetime | None) -> None:
    assert read_time(said) == at


def test_a_source_whose_clock_is_a_little_ahead_is_believed() -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    assert read_time(soon.timestamp()) == read_time(soon.isoformat()) == soon
