"""Runs whose message the broker has lost: they are sent again, and sync once."""

from moonx_pipeline.broker import waiting_runs
from moonx_pipeline.clock import utc_now
from moonx_pipeline.defs.undelivered_runs import LOST_AFTER, send_undelivered
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.storage.syncs.workers import lock_run
from moonx_pipeline.sync import run_tags
from moonx_pipeline_tests.fixtures.dagster import System, eventually
from moonx_pipeline_tests.fixtures.redis import RedisServer
from moonx_pipeline_tests.support.syncs import violations
from moonx_pipeline_tests.support.workers import (
    ask,
    in_the_middle,
    launch_asked,
    new_user,
    request_status,
    rows,
    stuck_user,
)


def look(system: System) -> list[str]:
    """What a look finds once a message counts as lost."""
    return send_undelivered(system.instance, system.settings, utc_now() + 2 * LOST_AFTER)


def syncs(system: System, request_id: str) -> list[str]:
    found = rows(system.engine, "SELECT status FROM sync_operations WHERE request_id = %s::uuid", request_id)
    return [status for (status,) in found]


def test_a_run_that_waits_in_the_broker_is_not_sent_again(system: System, simulator: RunningSimulator) -> None:
    waiting = [system.launch(new_user(system)) for _ in range(3)]

    assert waiting_runs(system.settings) == set(waiting)
    assert look(system) == []

    worker = system.start_worker(1).until_ready()
    assert system.ended(*waiting) == ["SUCCESS"] * 3
    assert (waiting_runs(system.settings), look(system)) == (set(), [])
    assert worker.stop() == 0


def test_a_run_whose_message_is_lost_is_sent_again_once(redis_system: System, own_redis: RedisServer) -> None:
    system = redis_system
    request_id, run_id = launch_asked(system, new_user(system))
    own_redis.kill()
    own_redis.start()

    assert send_undelivered(system.instance, system.settings, utc_now()) == []  # it may be on its way
    assert look(system) == [run_id]
    assert look(system) == []  # it waits

    system.start_worker(1)
    assert system.ended(run_id) == ["SUCCESS"]
    assert (request_status(system.engine, request_id), syncs(system, request_id)) == ("done", ["completed"])
    assert "The broker lost its message" in " ".join(system.messages(run_id))


def test_a_run_that_several_messages_name_is_executed_once(system: System, simulator: RunningSimulator) -> None:
    asked = []
    for _ in range(5):
        request_id, run_id = launch_asked(system, new_user(system))
        asked.append((request_id, run_id))
        for _ in range(3):  # one for each process
            system.instance.run_launcher.send_again(system.run(run_id))  # type: ignore[attr-defined]

    worker = system.start_worker(4).until_ready()

    assert system.ended(*(run_id for _, run_id in asked)) == ["SUCCESS"] * 5

    def others_left_it() -> None:
        assert worker.log.count("was taken before, is left") == 15

    eventually(others_left_it)
    for request_id, run_id in asked:
        assert (request_status(system.engine, request_id), syncs(system, request_id)) == ("done", ["completed"])
        assert system.messages(run_id).count('Started execution of run for "portfolio_sync".') == 1
    assert violations(system.engine) == []
    assert worker.stop() == 0


def test_a_run_that_another_process_is_about_to_take_is_left_to_it(redis_system: System) -> None:
    system = redis_system
    run_id = system.launch(new_user(system))
    with system.engine.begin() as another:
        lock_run(another, run_id)
        worker = system.start_worker(1).until_ready()

        def waits_for_its_turn() -> None:
            assert rows(system.engine, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

        eventually(waits_for_its_turn)
        system.instance.add_run_tags(run_id, {run_tags.WORKER: "another"})

    def left() -> None:
        assert "was taken before, is left" in worker.log

    eventually(left)
    assert system.status(run_id) == "STARTING"


def test_requests_lost_with_a_frozen_redis_are_served_within_seconds(
    redis_system: System, own_redis: RedisServer, simulator: RunningSimulator
) -> None:
    system = redis_system
    system.start_dagster()
    worker = system.start_worker(1).until_ready()
    busy = system.launch(stuck_user(system, simulator))
    in_the_middle(system, busy)
    asked = [ask(system.engine, new_user(system)) for _ in range(2)]

    def wait_in_redis() -> set[str]:
        found = waiting_runs(system.settings)
        assert len(found) == 2
        return found

    runs = eventually(wait_in_redis)
    own_redis.freeze()
    own_redis.kill()
    own_redis.start()
    simulator.simulation.reset()
    system.instance.run_launcher.terminate(busy)

    assert system.ended(*runs) == ["SUCCESS"] * 2
    for request_id in asked:
        assert (request_status(system.engine, request_id), syncs(system, request_id)) == ("done", ["completed"])
    assert violations(system.engine) == []
    assert worker.process.poll() is None
