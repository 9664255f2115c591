"""The sensor of requests on a real instance: with many waiting, twice at once, and beside the doorbell."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import dagster as dg
import pytest
from sqlalchemy import Engine, create_engine, event, make_url

from moonx_pipeline.definitions import defs
from moonx_pipeline.defs.resources import Database, PipelineSettings
from moonx_pipeline.defs.sensors import sync_requests
from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.database import ready_engine
from moonx_pipeline.storage.pause import pause, resume
from moonx_pipeline.storage.requests import add_request, requeue_requests
from moonx_pipeline.sync.doorbell import ring
from moonx_pipeline.sync.following import follow
from moonx_pipeline.sync.requests import ask_for_many, ask_for_sync
from moonx_pipeline_tests.fixtures.dagster import System, eventually, running_system
from moonx_pipeline_tests.storage.examples import register
from moonx_pipeline_tests.sync import acts as sync_acts

_INSTANCE = """
storage:
  custom: {module: moonx_pipeline.defs.instance_storage, class: PooledStorage, config: {}}
run_coordinator: {module: dagster._core.run_coordinator.queued_run_coordinator, class: QueuedRunCoordinator}
telemetry: {enabled: false}
"""


@dataclass
class Ticks:
    """The sensor with an instance of its own."""

    engine: Engine
    instance: dg.DagsterInstance

    def evaluate(self):
        settings = PipelineSettings()
        resources = {"settings": settings, "database": Database(settings=settings)}
        with dg.build_sensor_context(
            instance=self.instance, repository_def=defs.get_repository_def(), resources=resources
        ) as context:
            return sync_requests.evaluate_tick(context)

    def requested(self) -> list[dg.RunRequest]:
        return list(self.evaluate().run_requests or ())

    def start(self, run_request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
        """Makes the run of a request as the daemon does, and leaves it in a status."""
        run = dg.DagsterRun(
            job_name="portfolio_sync",
            run_id=str(uuid4()),
            status=status,
            tags={**run_request.tags, "dagster/run_key": run_request.run_key},
        )
        self.instance.add_run(run)
        return run.run_id


@pytest.fixture(scope="module")
def instance(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with a database of its own, that the module's tests share."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "dagster.yaml").write_text(_INSTANCE)
    url = make_url(postgres_server).set(database="dagster_of_sensors").render_as_string(hide_password=False)
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection, pytest.MonkeyPatch.context() as patch:
        connection.exec_driver_sql("CREATE DATABASE dagster_of_sensors")
        patch.setenv("DAGSTER_DATABASE_URL", url)
        load_settings.cache_clear()
        with dg.DagsterInstance.from_config(str(home)) as made:
            yield made
        load_settings.cache_clear()
        connection.exec_driver_sql("DROP DATABASE dagster_of_sensors WITH (FORCE)")
    admin.dispose()


@pytest.fixture
def ticks(
    database_url: str, engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ticks]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    load_settings.cache_clear()
    yield Ticks(engine, instance)
    ready_engine(load_settings()).dispose()
    load_settings.cache_clear()


def ask(engine: Engine, user_id: str, priority: str = "high", source: str = "api") -> UUID:
    register(engine, user_id)
    with engine.begin() as connection:
        return add_request(connection, user_id, source=source, priority=priority)


def row(engine: Engine, request: UUID):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM sync_requests WHERE id = %s", (request,)).one()


def let_time_pass(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_requests SET look_at = look_at - interval '1 hour'")


def test_each_request_is_one_run_of_its_users_partition_and_no_second_one(ticks: Ticks) -> None:
    low = ask(ticks.engine, "ann", "low", "backfill")
    high = ask(ticks.engine, "bob", "high", "api")

    first, second = ticks.requested()

    assert (first.run_key, first.partition_key) == (str(high), "bob")
    assert first.tags == {
        "dagster/sensor_name": "sync_requests",
        "dagster/partition": "bob",
        "moonx/user": "bob",
        "moonx/request": str(high),
        "moonx/trigger": "manual",
        "moonx/priority": "high",
    }
    assert (second.run_key, second.tags["moonx/trigger"], second.tags["moonx/priority"]) == (
        str(low),
        "backfill",
        "low",
    )
    assert {"ann", "bob"} <= set(ticks.instance.get_dynamic_partitions("users"))
    again = ticks.evaluate()
    assert (again.run_requests, again.skip_message) == ([], "No request waits for a run; of 2 it has not begun.")


def test_users_who_can_not_be_synced_are_refused_and_hold_up_nobody(ticks: Ticks) -> None:
    with ticks.engine.begin() as connection:
        unknown = [add_request(connection, f"nobody{number}", source="api", priority="high") for number in range(60)]
    disabled = ask(ticks.engine, "ann")
    with ticks.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false")
    good = ask(ticks.engine, "bob", "low")

    (only,) = ticks.requested()

    assert only.run_key == str(good)
    assert {row(ticks.engine, request).status for request in [*unknown, disabled]} == {"refused"}
    assert "has no wallets" in row(ticks.engine, unknown[0]).reason
    assert "are disabled" in row(ticks.engine, disabled).reason
    with ticks.engine.begin() as connection:
        add_request(connection, "zoe", source="api", priority="high")
    assert ticks.evaluate().skip_message == (
        "1 that can't be served is refused. No request waits for a run; of 1 it has not begun."
    )


def test_while_paused_nothing_is_started_and_the_reason_says_why_since_when_and_how_many_wait(ticks: Ticks) -> None:
    request = ask(ticks.engine, "ann")
    ask(ticks.engine, "bob")
    with ticks.engine.begin() as connection:
        begun = pause(connection, "The provider moves.", "ops@host")

    said = ticks.evaluate()

    assert said.run_requests == []
    assert said.skip_message == (
        f"All syncs are paused since {begun.paused_at:%Y-%m-%dT%H:%M:%S}.{begun.paused_at.microsecond // 1000:03}Z "
        "by ops@host: The provider moves. 2 requests wait until 'moonx resume'."
    )
    assert (row(ticks.engine, request).status, row(ticks.engine, request).launches) == ("pending", 0)
    with ticks.engine.begin() as connection:
        resume(connection)
    assert len(ticks.requested()) == 2


def test_what_became_of_a_run_that_did_not_begin_decides(ticks: Ticks) -> None:
    asked = {user: ask(ticks.engine, user) for user in ("waits_in_the_broker", "failed")}
    by_key = {run_request.run_key: run_request for run_request in ticks.requested()}
    ticks.start(by_key[str(asked["waits_in_the_broker"])], dg.DagsterRunStatus.STARTING)
    ticks.start(by_key[str(asked["failed"])], dg.DagsterRunStatus.FAILURE)
    assert ticks.requested() == []

    let_time_pass(ticks.engine)
    (again,) = ticks.requested()

    assert again.run_key == f"{asked['failed']}:2"
    ticks.start(again, dg.DagsterRunStatus.CANCELED)
    let_time_pass(ticks.engine)
    never_made = ask(ticks.engine, "never_made")
    assert [run_request.run_key for run_request in ticks.requested()] == [str(never_made)]
    canceled = row(ticks.engine, asked["failed"])
    assert (canceled.status, canceled.attempts) == ("cancelled", 1)
    assert canceled.reason.endswith("was canceled in Dagster.")
    assert row(ticks.engine, asked["waits_in_the_broker"]).launches == 1

    # As when the daemon dies between the evaluation of a tick and the start of its runs, again and again.
    for number in (2, 3):
        let_time_pass(ticks.engine)
        assert [run_request.run_key for run_request in ticks.requested()] == [f"{never_made}:{number}"]
    let_time_pass(ticks.engine)
    assert ticks.requested() == []
    refused = row(ticks.engine, never_made)
    assert refused.status == "refused"
    assert refused.reason == (
        "It was lost 3 times; the last time no run of it came to be: "
        "see the ticks of the sensor sync_requests in Dagster."
    )


def test_a_request_whose_worker_was_lost_is_started_anew_once(ticks: Ticks) -> None:
    request, operation = ask(ticks.engine, "ann"), uuid4()
    (first,) = ticks.requested()
    ticks.start(first, dg.DagsterRunStatus.STARTED)
    with ticks.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sync_requests SET status = 'claimed', sync_operation_id = %s", (operation,))
    assert ticks.requested() == []
    with ticks.engine.begin() as connection:
        requeue_requests(connection, [operation], 3)

    (second,) = ticks.requested()

    assert (first.run_key, second.run_key) == (str(request), f"{request}:2")
    assert ticks.requested() == []


def test_two_ticks_at_once_start_each_request_once(ticks: Ticks) -> None:
    asked = {str(ask(ticks.engine, f"user{number}", "low", "backfill")) for number in range(40)}
    start = Barrier(4)

    def evaluate(_: int) -> list[dg.RunRequest]:
        start.wait()
        return ticks.requested()

    with ThreadPoolExecutor(4) as pool:
        found = Counter(request.run_key for requested in pool.map(evaluate, range(4)) for request in requested)

    assert found == Counter(asked)


@contextmanager
def living_workers(engine: Engine, count: int) -> Iterator[None]:
    """Processes that carry syncs, as others see them."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for number in range(count):
            connection.exec_driver_sql(
                "INSERT INTO worker_processes (id, host, pid, takes_runs) VALUES (%s, 'elsewhere', 1, true)",
                (f"w{number}",),
            )
            connection.exec_driver_sql("SELECT pg_advisory_lock(worker_lock(%s))", (f"w{number}",))
        yield
        connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")


def test_no_more_is_under_way_than_the_workers_carry_and_the_reason_says_so(ticks: Ticks) -> None:
    for number in range(5):
        ask(ticks.engine, f"user{number}", "medium")

    assert len(ticks.requested()) == 2  # no worker process lives
    assert ticks.evaluate().skip_message == (
        "3 requests wait: 2 runs are started and not begun, and 0 worker processes live."
    )
    with living_workers(ticks.engine, 2):
        assert len(ticks.requested()) == 2


_CROWD = """
INSERT INTO user_wallets (user_id, wallet_address)
SELECT 'user' || n, '0x' || lpad(to_hex(n), 40, '0') FROM generate_series(1, 100000) n;
INSERT INTO user_sync_status (user_id) SELECT 'user' || n FROM generate_series(1, 100000) n;
INSERT INTO sync_requests (user_id, priority)
SELECT 'user' || n, (ARRAY['low', 'high', 'medium'])[1 + mod(n, 3)] FROM generate_series(1, 100000) n;
ANALYZE sync_requests, user_wallets, user_sync_status;
"""


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def test_with_100_000_waiting_a_tick_is_a_few_statements_that_read_a_batch(ticks: Ticks) -> None:
    with ticks.engine.begin() as connection:
        connection.exec_driver_sql(_CROWD)
    statements: list[tuple[str, dict]] = []
    pipeline = Database(settings=PipelineSettings()).engine

    def note(_connection, _cursor, statement, parameters, *_) -> None:
        statements.append((statement, parameters))

    event.listen(pipeline, "before_cursor_execute", note)
    requested = ticks.requested()
    event.remove(pipeline, "before_cursor_execute", note)

    assert len(requested) == 50
    assert Counter(request.tags["moonx/priority"] for request in requested) == {"high": 2, "low": 48}
    assert len(statements) == 5
    for statement, parameters in statements:
        with ticks.engine.connect() as connection:  # rolled back
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
        for node in _nodes(plan[0]["Plan"]):
            if node.get("Relation Name") == "sync_requests":
                assert node["Node Type"] not in ("Seq Scan", "Bitmap Heap Scan"), statement
                # The first thousand in line are looked at for users who can't be synced.
                assert node.get("Actual Rows", 0) * node.get("Actual Loops", 1) <= 1000, node


def test_a_bell_that_nobody_hears_leaves_all_to_the_sensor_and_raises_nothing(
    ticks: Ticks, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = [ask(ticks.engine, user) for user in ("ann", "bob")]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/graphql"
    assert ring(ticks.engine, dead, asked) == []
    assert ring(ticks.engine, None, asked) == []
    assert "Dagster can't be reached" in capfd.readouterr().out
    assert {row(ticks.engine, request).launches for request in asked} == {0}

    assert {run_request.run_key for run_request in ticks.requested()} == set(map(str, asked))


def test_a_bell_that_may_have_been_heard_is_not_rung_twice_and_the_sensor_looks_for_its_run(ticks: Ticks) -> None:
    doubtful, left = ask(ticks.engine, "ann"), ask(ticks.engine, "bob")
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.close()

        hung_up = pool.submit(hang_up)
        assert ring(ticks.engine, f"http://127.0.0.1:{server.getsockname()[1]}/graphql", [doubtful, left]) == []
        hung_up.result()

    # One was asked for and nobody can tell; the other was not.
    (known,) = [r for r in (row(ticks.engine, doubtful), row(ticks.engine, left)) if r.launches == 1]
    (other,) = ticks.requested()
    assert other.tags["moonx/request"] != str(known.id)
    let_time_pass(ticks.engine)
    ticks.start(other, dg.DagsterRunStatus.STARTING)
    assert [run_request.run_key for run_request in ticks.requested()] == [f"{known.id}:2"]


@pytest.fixture
def system(
    postgres_server: str, simulator: RunningSimulator, tmp_path: Path, instance: dg.DagsterInstance
) -> Iterator[System]:
    """The whole of it: webserver, daemon with this sensor, and a worker of two processes."""
    with running_system(postgres_server, simulator, tmp_path) as running:
        worker = running.start_worker(2)
        running.start_dagster()
        worker.until_ready()
        yield running


def test_asked_with_and_without_the_bell_each_request_is_one_run_that_syncs(system: System) -> None:
    engine, bell = system.engine, f"http://127.0.0.1:{system._port}/graphql"
    users = [f"user{number}" for number in range(16)]
    for user in users:
        sync_acts.register(engine, user, PLAIN_WALLET)

    def ask_and_ring(user: str) -> UUID:
        asked = ask_for_sync(engine, system.settings, user, source="api", priority="high", limited=True)
        assert asked.request_id is not None
        ring(engine, bell, [asked.request_id])
        return asked.request_id

    # Not rung: asked for while syncs are paused, of low priority, or started already.
    with engine.begin() as connection:
        pause(connection, "The provider moves.", "ops")
    waiting = ask_and_ring(users[0])
    assert row(engine, waiting).launches == 0
    with engine.begin() as connection:
        resume(connection)
    (low,) = ask_for_many(engine, system.settings, [users[1]])
    with ThreadPoolExecutor(4) as pool:
        rung = list(pool.map(ask_and_ring, users[2:10]))
    asked = [ask_for_sync(engine, system.settings, user, source="cli", priority="medium", limited=True)
             for user in users[10:]]  # fmt: skip
    requests = [waiting, low.request_id, *rung, *(answer.request_id for answer in asked)]
    assert ring(engine, bell, rung) == []

    ends = {state.request_id: state for changed in follow(engine, requests) for state in changed if state.has_ended}

    assert {state.outcome for state in ends.values()} == {"completed"}
    assert ends.keys() == set(requests)
    runs = system.instance.get_runs(dg.RunsFilter(tags={"moonx/request": [str(request) for request in requests]}))
    assert Counter(run.tags["moonx/request"] for run in runs) == Counter(map(str, requests))
    eventually(lambda: [system.ended(run.run_id) for run in runs])
    assert {run.tags["dagster/partition"] for run in runs} == set(users)
    tags = {run.tags["moonx/user"]: (run.tags["moonx/trigger"], run.tags["moonx/priority"]) for run in runs}
    assert (tags[users[1]], tags[users[2]], tags[users[10]]) == (
        ("backfill", "low"),
        ("manual", "high"),
        ("manual", "medium"),
    )
