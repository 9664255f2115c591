"""How a process is present in the database: it is told of cancellations, and comes back when it was cut off."""

from queue import Queue

from sqlalchemy import Engine

from moonx_pipeline.storage.syncs.workers import WorkerPresence, cancel_run, list_workers
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.database import cut_connections


def tell(engine: Engine, run_id: str) -> None:
    with engine.begin() as connection:
        cancel_run(connection, run_id)


def test_each_process_that_takes_runs_hears_cancellations_after_a_cut_too(engine: Engine) -> None:
    heard: Queue[tuple[str, str]] = Queue()
    one = WorkerPresence(engine, lambda run_id: heard.put(("one", run_id)))
    two = WorkerPresence(engine, lambda run_id: heard.put(("two", run_id)))

    tell(engine, "run 1")
    assert {heard.get(timeout=30), heard.get(timeout=30)} == {("one", "run 1"), ("two", "run 1")}

    cut_connections(engine)

    def back() -> None:
        with engine.connect() as connection:
            assert [row.alive for row in list_workers(connection)] == [True, True]

    eventually(back)  # by themselves: neither has anything to do
    tell(engine, "run 2")
    assert {heard.get(timeout=30), heard.get(timeout=30)} == {("one", "run 2"), ("two", "run 2")}
    one.leave()
    two.leave()
    with engine.connect() as connection:
        assert list_workers(connection) == []


def test_a_notification_is_not_taken_for_the_end_of_the_connection(engine: Engine) -> None:
    heard: Queue[str] = Queue()
    presence = WorkerPresence(engine, heard.put)
    lock = (
        "SELECT pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    )
    with engine.connect() as connection:
        before = connection.exec_driver_sql(lock).scalars().all()

    for number in range(20):
        tell(engine, str(number))
        presence.ensure()

    assert [heard.get(timeout=30) for _ in range(20)] == [str(number) for number in range(20)]
    with engine.connect() as connection:
        assert connection.exec_driver_sql(lock).scalars().all() == before
    presence.leave()


def test_only_processes_that_take_runs_are_counted_as_such(engine: Engine) -> None:
    worker, single = WorkerPresence(engine, lambda _: None), WorkerPresence(engine)

    with engine.connect() as connection:
        assert {row.id: row.takes_runs for row in list_workers(connection)} == {worker.id: True, single.id: False}
    worker.leave()
    single.leave()
