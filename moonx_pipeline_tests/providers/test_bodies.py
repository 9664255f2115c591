"""Answers are read row by row: what can't be understood of one costs no other."""

from __future__ import annotations

import json
from typing import Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.providers.bodies import UNREADABLE, Checked, by_row, clean_text, leniently, repaired
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
