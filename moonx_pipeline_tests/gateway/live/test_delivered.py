"""What was delivered is not delivered again."""

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.events.stream import StreamedEvent
from moonx_pipeline.gateway.live.delivered import Delivered
from moonx_pipeline.gateway.live.rooms import Emission, emission_of
from moonx_pipeline_tests.support.live_events import started, updated

_EVENTS = [make(user, version) for make in (started, updated) for user in ("ann", "bob") for version in range(4)]


def _emission(event) -> Emission:
    emission = emission_of(StreamedEvent(event.topic, event.key, event.payload))
    assert emission is not None
    return emission


@given(st.lists(st.sampled_from(_EVENTS)))
def test_each_event_comes_once_and_portfolios_only_forward(told: list) -> None:
    delivered = Delivered()

    news = [emission for event in told if delivered.is_news(emission := _emission(event))]

    assert len({emission.event_id for emission in news}) == len(news)
    for user in ("ann", "bob"):
        versions = [e.version for e in news if e.user_id == user and e.name == "portfolio_update"]
        assert versions == sorted(set(versions))
        seen = [event.version for event in told if event.key == user and event.type == "portfolio.updated"]
        assert versions[-1:] == ([max(seen)] if seen else [])
    assert {e.event_id for e in news if e.name == "sync_started"} == {
        str(event.id) for event in told if event.type == "sync.started"
    }


def test_its_memory_is_bounded() -> None:
    delivered = Delivered(events=2, users=1)
    first, *others = (_emission(started("ann", number)) for number in range(3))

    assert delivered.is_news(first)
    assert not delivered.is_news(first)
    assert all(delivered.is_news(emission) for emission in others)
    assert delivered.is_news(first)
