"""What is left out of an event's JSON comes back to the character."""

import json
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from moonx_pipeline.domain.events import event_id_of
from moonx_pipeline.storage.packs.derived import leave_out, put_back

OPERATION = UUID(int=7)
KIND = "portfolio.updated"

_NUMBERS = st.from_regex(r"[0-9]{1,30}(\.[0-9]{1,30})?", fullmatch=True)
_SYMBOLS = st.one_of(st.none(), st.text(), st.just('", "chainId": 1, "valueUsd": ='), st.just('"eventId": ='))
_POSITIONS = st.builds(
    lambda amount, price, value, symbol: (
        f'{{"amount": "{amount}", "symbol": {json.dumps(symbol, ensure_ascii=False)}, "chainId": 1, '
        f'"priceUsd": "{price}", "valueUsd": {value}, "change24h": null}}'
    ),
    _NUMBERS,
    _NUMBERS,
    st.one_of(_NUMBERS, st.just("null"), st.just("1E-7")),
    _SYMBOLS,
)


def payload(positions: list[str], event_id: object = event_id_of(OPERATION, KIND)) -> str:
    return (
        f'{{"data": {{"tokens": [{", ".join(positions)}], "syncOperationId": "{OPERATION}"}}, "eventId": "{event_id}"}}'
    )


@given(st.lists(_POSITIONS, max_size=4), st.sampled_from([event_id_of(OPERATION, KIND), OPERATION, "of somebody"]))
@example(['{"amount": "2", "symbol": null, "chainId": 1, "priceUsd": "3", "valueUsd": 6.0}'], "")
def test_what_was_left_out_is_put_back(positions: list[str], event_id: object) -> None:
    whole = payload(positions, event_id)

    assert put_back(leave_out(whole, KIND, OPERATION), KIND, OPERATION) == whole
    assert put_back(leave_out(whole, KIND, None), KIND, None) == whole


def test_values_and_ids_that_follow_are_left_out() -> None:
    position = '{"amount": "0.5", "symbol": "A\\"B", "chainId": 1, "priceUsd": "2.50", "valueUsd": 1.25}'

    short = leave_out(payload([position]), KIND, OPERATION)

    assert short.endswith('"valueUsd": =}], "syncOperationId": =}, "eventId": =}')
