"""JSON that no provider documents, as bytes: what hostile contracts and careless servers put into answers."""

from __future__ import annotations

import json

from hypothesis import strategies as st

ODD_TEXTS = [
    b'"\\ud800"',
    b'"\\udc00 \\ud800x"',
    b'"\xff\xfe"',
    b'"a\x00b"',
    b'"\\u0000"',
    b'"line\nline"',
    b'""',
    b'"0x"',
    b'"0xzz"',
    b'"-0x1"',
    b'"0x_1"',
    b'"0x' + b"f" * 65 + b'"',
    b'"1000"',
]
ODD_NUMBERS = [
    b"1.157920892373162e+77",
    b"3.8e75",
    b"1e400",
    b"-1",
    b"18.0",
    b"NaN",
    b"Infinity",
    b"9" * 400,
]
OTHER_KINDS = [
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[]]]]",
    b'{"message":"execution timeout"}',
    b'{"value":[1,{"a":null}]}',
]

odd_values = st.one_of(
    st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS, *OTHER_KINDS]),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
)
"""One value."""


def encoded(row: dict[str, object], odd: dict[str, bytes] | None = None) -> bytes:
    """A row as JSON, with fields put in as they are."""
    fields = {key: json.dumps(value).encode() for key, value in row.items()} | (odd or {})
    return b"{" + b",".join(json.dumps(key).encode() + b":" + value for key, value in fields.items()) + b"}"


@st.composite
def odd_rows(draw: st.DrawFn, good: dict[str, object], keep: frozenset[str] = frozenset()) -> bytes:
    """A value in the place of a row, or a row with an odd field or a missing one; ``keep`` are left alone."""
    form = draw(st.sampled_from(["value", "field", "missing"]))
    if form == "value" and not keep:
        return draw(odd_values)
    name = draw(st.sampled_from(sorted(good.keys() - keep)))
    if form == "missing":
        return encoded({key: value for key, value in good.items() if key != name})
    return encoded(good, {name: draw(odd_values)})
