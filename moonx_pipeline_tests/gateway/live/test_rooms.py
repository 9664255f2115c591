"""Who is told what."""

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.events.stream import StreamedEvent
from moonx_pipeline.gateway.live.rooms import emission_of, own_rooms, room_of
from moonx_pipeline_tests.support.live_events import alert, completed, failed, started, updated

users = st.text(min_size=1, max_size=20)


def streamed(event: Any, **changes: Any) -> StreamedEvent:
    return StreamedEvent(event.topic, event.key, {**event.payload, **changes})


@given(users, st.integers(0, 2**53), st.sampled_from([started, completed, failed, updated]))
def test_what_is_of_a_user_goes_to_his_room_alone(user_id: str, version: int, make: Any) -> None:
    event = make(user_id, version)

    emission = emission_of(streamed(event))

    assert emission is not None
    assert (emission.rooms, emission.user_id, emission.version) == ((room_of(user_id),), user_id, version)
    assert emission.data == {**event.payload["data"], "version": version, "eventId": str(event.id)}


@given(users, users)
def test_an_event_that_is_said_to_be_of_two_users_goes_to_nobody(key: str, user_id: str) -> None:
    emission = emission_of(streamed(started(key, 1), userId=user_id))

    assert (emission is None) == (key != user_id)


@given(users)
def test_an_alert_about_a_user_goes_to_him_and_to_administrators(user_id: str) -> None:
    def rooms(service: str) -> tuple[str, ...]:
        emission = emission_of(streamed(alert(service, "of someone")))
        assert emission is not None
        return emission.rooms

    assert rooms(f"user:{user_id}") == ("admin", room_of(user_id))
    assert rooms("user") == ("admin",)
    assert rooms("alchemy:1") == ("admin", "system")


@given(users, users, st.booleans())
def test_a_socket_may_be_in_the_rooms_of_its_user_and_no_others(user_id: str, other: str, is_admin: bool) -> None:
    rooms = own_rooms(user_id, is_admin=is_admin)

    assert {room_of(user_id), "system"} <= set(rooms)
    assert ("admin" in rooms) == is_admin
    assert (room_of(other) in rooms) == (other == user_id)


def test_what_is_not_of_the_published_form_or_not_for_sockets_is_not_emitted() -> None:
    event = started("ann", 1)
    for changes in (
        {"eventType": "user.activity"},
        {"eventType": "sync.dreamed"},
        {"version": "1"},
        {"data": [1]},
        {"eventId": None},
    ):
        assert emission_of(streamed(event, **changes)) is None
    assert emission_of(StreamedEvent("sync.events", "ann", {"eventId": str(uuid.uuid4())})) is None
    assert emission_of(streamed(alert("x", "y"), data={"message": "of no service"})) is None


_odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from([started, completed, failed, updated]), st.data())
def test_an_event_with_an_odd_field_goes_to_nobody_else(make: Any, data: st.DataObject) -> None:
    event = make("ann", 1)
    field = data.draw(st.sampled_from(["payload", *event.payload]))
    inner = data.draw(st.sampled_from(["", *event.payload["data"]]))
    odd = data.draw(_odd)
    content = event.payload if not inner else {**event.payload, "data": {**event.payload["data"], inner: odd}}

    told: Any = odd if field == "payload" else {**content, field: odd}
    emission = emission_of(StreamedEvent(event.topic, "ann", told))

    assert emission is None or emission.rooms == (room_of("ann"),)


@given(_odd, st.dictionaries(st.sampled_from(["service", "message", "severity", "alertType"]), _odd))
def test_an_odd_alert_goes_to_nobody_or_as_an_alert_does(service: Any, changes: dict[str, Any]) -> None:
    told = alert("alchemy:1", "x")
    emission = emission_of(streamed(told, data={**told.payload["data"], "service": service, **changes}))

    assert emission is None or emission.rooms[0] == "admin"
