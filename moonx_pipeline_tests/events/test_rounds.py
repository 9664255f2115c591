"""What goes out together can't overtake anything of its own user."""

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.events.kafka import rounds
from moonx_pipeline.storage.syncs.outbox import OutboxRow

rows = st.lists(st.sampled_from("abcd")).map(
    lambda keys: [
        OutboxRow(seq, 1, uuid.uuid4(), "t", key, "e", seq, "{}", datetime(2026, 3, 2, tzinfo=UTC))
        for seq, key in enumerate(keys)
    ]
)


@given(rows)
def test_a_round_has_one_event_of_a_user_and_his_events_stay_in_order(stored: list[OutboxRow]) -> None:
    sent = list(rounds(stored))

    assert all(len({row.key for row in together}) == len(together) for together in sent)
    for key in "abcd":
        assert [row.seq for together in sent for row in together if row.key == key] == [
            row.seq for row in stored if row.key == key
        ]
    assert sum(len(together) for together in sent) == len(stored)
