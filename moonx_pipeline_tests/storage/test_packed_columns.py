"""What is unpacked is what was packed, and small."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from moonx_pipeline.storage.packs.columns import pack_texts, unpack_texts

_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=12
)
# Texts of any kind, and JSON as PostgreSQL and Python write it.
_TEXTS = st.one_of(
    st.text(),
    _VALUES.map(json.dumps),
    _VALUES.map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.tuples(st.integers(), st.decimals(allow_nan=False, allow_infinity=False)).map(
        lambda pair: f'{{"version": {pair[0]}, "total": {pair[1]}}}'
    ),
)


@given(st.lists(_TEXTS, max_size=20))
@example([""])
@example(['"', "\\", '"\\', "1", "1-1", '"a" "b', "\n", '{"a": "\\""}'])
def test_texts_come_out_as_they_went_in(texts: list[str]) -> None:
    assert unpack_texts(pack_texts(texts)) == texts


def test_texts_that_differ_in_one_value_take_a_few_bytes_each() -> None:
    texts = [f'{{"user": "ann", "wallets": ["0x{"ab" * 20}"], "total": "{number}.25"}}' for number in range(1000)]

    assert len(pack_texts(texts)) < 4 * len(texts)
