"""Events that are packed are the same to all who read them."""

from datetime import UTC, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import event_id_of
from moonx_pipeline.events.stream import OutboxStream, event_stream
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.packs.event_packs import pack_events, unpack_events
from moonx_pipeline.storage.syncs.event_reads import OLDEST, ReplayCursor, newest, read_after, read_since
from moonx_pipeline.storage.syncs.outbox import OutboxRow
from moonx_pipeline.storage.upkeep.chunks import is_packing_alone
from moonx_pipeline.storage.upkeep.pack_events import ENOUGH, pack_outbox
from moonx_pipeline.storage.upkeep.retention import prune_outbox
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.outbox import event, put
from moonx_pipeline_tests.support.packing import LONG_AGO, TWO_DAYS, kept, pack, plain_count, publish_all, put_old
from moonx_pipeline_tests.support.rows import register
from moonx_pipeline_tests.support.sql import execute, rows
from moonx_pipeline_tests.support.streams import opened, versions
from moonx_pipeline_tests.support.syncs import sync, violations


def of_keys(found: list[OutboxRow]) -> dict[str, list[OutboxRow]]:
    return {key: [row for row in found if row.key == key] for key in sorted({row.key for row in found})}


def pairs(found: list[OutboxRow]) -> list[tuple[str, int]]:
    return [(row.key, row.version) for row in found]


def fill(engine: Engine) -> None:
    """Old events of two users in turns, then a young one each; one of these is not published."""
    put_old(engine, *[event(key, number) for number in range(6) for key in ("ann", "bob")])
    put(engine, event("ann", 6))
    execute(engine, "UPDATE outbox_events SET published_at = coalesce(published_at, now())")
    put(engine, event("bob", 6))


_PAYLOADS = st.one_of(
    st.just('{"data": {"syncOperationId": null}}'),
    st.just('{"data": {"syncOperationId": "of nobody"}, "n": 1E+400}'),
    st.just('{"data": [1], "eventId": ""}'),
    st.just("[]"),
    st.uuids().map(
        lambda operation: (
            f'{{"data": {{"syncOperationId": "{operation}"}}, "eventId": "{event_id_of(operation, "sync.started")}"}}'
        )
    ),
)


@given(
    st.lists(
        st.builds(
            OutboxRow,
            seq=st.integers(1, 2**62),
            tx=st.integers(1, 2**62),
            id=st.one_of(st.uuids(), st.just(event_id_of(UUID(int=1), "sync.started"))),
            topic=st.sampled_from(["sync.events", "portfolio.updates"]),
            key=st.just("ann"),
            type=st.sampled_from(["sync.started", "portfolio.updated"]),
            version=st.integers(0, 2**62),
            payload=st.one_of(_PAYLOADS, st.just(f'{{"data": {{"syncOperationId": "{UUID(int=1)}"}}}}')),
            created_at=st.datetimes(timezones=st.just(UTC)),
            traceparent=st.one_of(st.none(), st.text()),
        ),
        min_size=1,
        max_size=9,
    )
)
def test_events_come_out_of_a_pack_as_they_went_in(events: list[OutboxRow]) -> None:
    assert unpack_events(pack_events(events, [None] * len(events))) == events


def test_a_replay_reads_the_same_events_once_they_are_packed(engine: Engine) -> None:
    fill(engine)
    before = kept(engine)

    assert pack(engine) == 12
    assert plain_count(engine) == 2
    assert of_keys(kept(engine)) == of_keys(before)
    assert kept(engine, "ann") == of_keys(before)["ann"]
    assert pairs(kept(engine, since=utc_now() - timedelta(hours=1))) == [("ann", 6), ("bob", 6)]


def test_packing_again_changes_nothing(engine: Engine) -> None:
    fill(engine)
    pack(engine)
    packs = rows(engine, "SELECT * FROM outbox_packs")

    assert pack(engine) == 0
    assert rows(engine, "SELECT * FROM outbox_packs") == packs


def test_of_two_that_pack_one_does(engine: Engine) -> None:
    fill(engine)
    with engine.begin() as other:
        first = next(pack_outbox(engine, utc_now()))
        assert first == 12
        assert is_packing_alone(other)
        put_old(engine, event("cy", 1))
        assert pack(engine) == 0
    assert pack(engine) == 1


def test_events_that_no_broker_has_yet_are_never_packed(engine: Engine) -> None:
    put(engine, event("ann", 1))
    execute(engine, "UPDATE outbox_events SET created_at = created_at - %s", (TWO_DAYS,))

    assert pack(engine) == 0
    assert plain_count(engine) == 1


def test_a_day_that_goes_on_is_packed_once_there_is_enough(engine: Engine) -> None:
    noon = utc_now().replace(hour=12)
    put(engine, *[event("ann", number) for number in range(ENOUGH - 1)])
    execute(engine, "UPDATE outbox_events SET published_at = now(), created_at = %s", (noon,))
    assert sum(pack_outbox(engine, noon + timedelta(hours=1))) == 0

    put(engine, event("ann", ENOUGH))
    execute(engine, "UPDATE outbox_events SET published_at = now(), created_at = %s", (noon,))

    assert sum(pack_outbox(engine, noon + timedelta(hours=1))) == ENOUGH


def test_a_backlog_of_many_days_is_packed_at_once_a_day_a_pack(engine: Engine) -> None:
    put(engine, *[event("ann", number) for number in range(4 * ENOUGH)])
    execute(engine, "UPDATE outbox_events SET published_at = now(), created_at = now() - interval '9 days'")
    execute(
        engine, "UPDATE outbox_events SET created_at = created_at + interval '1 day' WHERE version >= %s", (ENOUGH,)
    )

    assert pack(engine) == 4 * ENOUGH
    assert [row.version for row in kept(engine)] == list(range(4 * ENOUGH))
    assert rows(engine, "SELECT count(*) FROM outbox_packs WHERE first_at::date <> last_at::date") == [(0,)]


def test_a_transaction_that_fails_leaves_events_where_they_were(engine: Engine) -> None:
    fill(engine)
    before = kept(engine)
    execute(
        engine,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$; "
        "CREATE TRIGGER refuse BEFORE DELETE ON outbox_events FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(DBAPIError, match="disk full"):
        pack(engine)
    execute(engine, "DROP FUNCTION refuse CASCADE")

    assert rows(engine, "SELECT count(*) FROM outbox_packs") == [(0,)]
    assert kept(engine) == before


_WHEN = st.integers(min_value=0, max_value=8)
_KEYS = st.lists(st.sampled_from(["ann", "bob", "cy"]), max_size=12)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(old=_KEYS, young=_KEYS, when=_WHEN, limit=st.integers(1, 4), start=st.integers(0, 12))
def test_readers_miss_nothing_while_events_are_packed_under_them(
    engine: Engine, old: list[str], young: list[str], when: int, limit: int, start: int
) -> None:
    execute(engine, "TRUNCATE outbox_events, outbox_packs")
    first = [event(key, number) for number, key in enumerate(old)]
    later = [event(key, number + 100) for number, key in enumerate(young)]
    with autocommit(engine) as connection:
        put_old(engine, *first[:start])
        position = newest(connection)
        put_old(engine, *first[start:])
        put(engine, *later)
        everything = of_keys(kept(engine))
        unseen = of_keys([row for row in kept(engine) if row.id in {e.id for e in [*first[start:], *later]}])

        followed: list[OutboxRow] = []
        from_start, oldest = [], OLDEST
        cursor: ReplayCursor | None = ReplayCursor()
        replayed: list[OutboxRow] = []
        for look in range(60):
            if look == when:
                pack(engine)
            if look == when + 2:
                publish_all(engine)
                pack(engine)
            page, position = read_after(connection, position, limit)
            followed += page
            page, oldest = read_after(connection, oldest, limit)
            from_start += page
            if cursor is not None:
                page, cursor = read_since(connection, LONG_AGO, None, cursor, limit)
                replayed += page

    def ids(found: list[OutboxRow]) -> dict:
        return {key: [row.id for row in its] for key, its in of_keys(found).items()}

    assert ids(followed) == {key: [row.id for row in its] for key, its in unseen.items()}
    assert ids(from_start) == ids(replayed) == {key: [row.id for row in its] for key, its in everything.items()}


def test_a_consumer_that_was_away_while_events_were_packed_gets_them(engine: Engine) -> None:
    stream = OutboxStream(engine)
    with opened(stream) as take:
        assert stream.has_skipped()
        put_old(engine, event("ann", 1))
        assert versions(take(1)) == [1]
        stream.close()
        put_old(engine, event("ann", 2))
        pack(engine)
        put(engine, event("ann", 3))

        assert versions(take(2)) == [2, 3]
        assert not stream.has_skipped()


def test_a_stream_from_the_beginning_begins_with_packed_events(engine: Engine) -> None:
    fill(engine)
    pack(engine)

    stream = event_stream(engine, KafkaSettings(), from_beginning=True, until_idle=True)

    assert versions(list(stream), "ann") == list(range(7))


def test_packed_events_go_when_their_day_is_old(engine: Engine) -> None:
    day = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=40)
    put(engine, event("ann", 1), event("bob", 2))
    execute(engine, "UPDATE outbox_events SET published_at = now(), created_at = %s", (day + timedelta(hours=3),))
    put_old(engine, event("ann", 3))
    pack(engine)

    assert sum(prune_outbox(engine, day + timedelta(hours=23), unpublished=False)) == 0
    assert sum(prune_outbox(engine, day + timedelta(days=1), unpublished=False)) == 2
    assert pairs(kept(engine)) == [("ann", 3)]


def test_the_doctor_sees_what_packed_events_tell_and_what_they_do_not(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    for _ in range(3):
        sync(runtime, trigger="manual")
    publish_all(engine, ago=TWO_DAYS + timedelta(minutes=5))  # so that no sync is too near to the oldest event
    execute(
        engine,
        "UPDATE sync_operations SET started_at = started_at - %(ago)s, completed_at = completed_at - %(ago)s",
        {"ago": TWO_DAYS},  # type: ignore[arg-type]
    )
    assert pack(engine) > 6
    assert violations(engine) == []

    execute(engine, "UPDATE outbox_packs SET operation_ids[5] = gen_random_uuid()")

    assert {violation.name for violation in violations(engine)} & {"beginnings told", "ends told"}
