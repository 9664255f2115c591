"""The real job, as ``dagster job execute`` runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.support.expected import expected
from moonx_pipeline_tests.support.forked import run_module
from moonx_pipeline_tests.support.listening import Listener
from moonx_pipeline_tests.support.syncs import event_types, held, operation, portfolio, register, status

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(database_url: str, simulator: RunningSimulator) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ALCHEMY", "KAFKA", "DB_"))},
        **simulator.environment(),
        "ALCHEMY_RETRY_DELAY": "1",
        "DAGSTER_HOME": str(ROOT),
        "DATABASE_URL": database_url,
    }


def execute(environment: dict[str, str], user_id: str, **tags: str) -> subprocess.CompletedProcess[str]:
    command = ("dagster", "job", "execute", "-m", "moonx_pipeline.definitions", "-j", "portfolio_sync")
    run_tags = json.dumps({"dagster/partition": user_id, **tags})
    return run_module(*command, "--tags", run_tags, env=environment, cwd=ROOT)


def test_dagsters_own_validation_finds_nothing_wrong(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation." in done.stdout + done.stderr


def dagster_rows(engine: Engine, sql: str):
    with engine.connect() as connection:
        return connection.exec_driver_sql(sql).all()


def test_a_run_syncs_one_user_and_shows_what_it_did(engine: Engine, environment: dict[str, str]) -> None:
    register(engine, "ann", PLAIN_WALLET)

    done = execute(environment, "ann")

    assert done.returncode == 0, done.stderr[-3000:]
    assert "completed in" in done.stderr
    assert len(done.stderr.splitlines()) < 10
    assert held(engine) == expected(PLAIN_WALLET)
    assert event_types(engine) == ["sync.started", "sync.completed", "portfolio.updated"]
    ((run_id, run_status),) = dagster_rows(engine, "SELECT run_id, status FROM dagster.runs")
    assert run_status == "SUCCESS"
    assert (str(operation(engine).id), operation(engine).dagster_run_id) == (run_id, run_id)
    tags = dict(tuple(row) for row in dagster_rows(engine, "SELECT key, value FROM dagster.run_tags"))
    assert (tags["moonx/user"], tags["moonx/trigger"]) == ("ann", "manual")
    logs = " ".join(row[0] for row in dagster_rows(engine, "SELECT event FROM dagster.event_logs"))
    assert "| ETH | Ethereum | 1.75 |" in logs
    assert logs.count('"ASSET_CHECK_EVALUATION"') >= 2
    assert "simulator" not in done.stderr + logs.replace("moonx_pipeline.simulator", "")  # the key


def test_a_run_with_a_chain_down_succeeds_and_warns(
    engine: Engine, environment: dict[str, str], simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    assert execute(environment, "ann").returncode == 0
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")

    done = execute(environment, "ann")

    assert done.returncode == 0, done.stderr[-3000:]
    assert operation(engine).status == "partial"
    assert portfolio(engine).totals.stale_chains == (137,)
    assert "upstream_timeout" in done.stderr


def test_a_run_without_any_answer_fails(
    engine: Engine, environment: dict[str, str], simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("quota")

    done = execute(environment, "ann")

    assert done.returncode != 0
    assert operation(engine).status == "failed"
    assert status(engine).sync_status == "failed"
    assert event_types(engine) == ["sync.started", "sync.failed"]


def test_a_run_that_meets_a_status_that_http_does_not_have_ends_with_a_reason(
    engine: Engine, environment: dict[str, str], simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("status", params={"status": 999})

    done = execute(environment, "ann")

    assert done.returncode != 0
    assert operation(engine).status == "failed"
    assert "refused with status 999, HTTP has no such status" in operation(engine).error_message
    assert event_types(engine) == ["sync.started", "sync.failed"]


def test_a_run_completes_past_early_hints_and_sources_that_answer_oddly(
    engine: Engine, environment: dict[str, str], simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("early_hints")
    for provider in ("binance", "coingecko", "dexscreener", "defillama"):
        simulator.fault("status", provider, params={"status": 600})

    done = execute(environment, "ann")

    assert done.returncode == 0, done.stderr[-3000:]
    assert held(engine) == expected(PLAIN_WALLET)
    assert {chain.status for chain in portfolio(engine).chains} == {"fresh"}


def test_an_unknown_user_is_one_sentence_and_leaves_nothing(engine: Engine, environment: dict[str, str]) -> None:
    done = execute(environment, "nobody")

    assert done.returncode != 0
    assert "User 'nobody' has no wallets: register them with 'moonx user add nobody ADDRESS'." in done.stderr
    assert "Traceback" not in done.stderr
    assert dagster_rows(engine, "SELECT 1 FROM sync_operations UNION SELECT 1 FROM user_sync_status") == []


def test_a_request_is_served_once(engine: Engine, environment: dict[str, str]) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        request = str(add_request(connection, "ann", source="api", priority="high"))

    first = execute(environment, "ann", **{"moonx/request": request})
    second = execute(environment, "ann", **{"moonx/request": request})

    assert first.returncode == 0, first.stderr[-3000:]
    assert second.returncode != 0
    assert "another sync has served it" in second.stderr
    ((state, by),) = dagster_rows(engine, "SELECT status, sync_operation_id FROM sync_requests")
    assert (state, by, operation(engine).priority) == ("done", operation(engine).id, "high")
    assert len(event_types(engine)) == 3


def test_a_run_publishes_its_events_to_kafka(
    engine: Engine, environment: dict[str, str], kafka_topics: KafkaTopics
) -> None:
    register(engine, "ann", PLAIN_WALLET)

    # A busy machine's Kafka may take longer to answer than a sync would wait.
    patient = {"KAFKA_REQUEST_TIMEOUT": "30000", "KAFKA_CONNECTION_TIMEOUT": "30000"}

    done = execute({**environment, **kafka_topics.environment, **patient}, "ann")

    assert done.returncode == 0, done.stderr[-3000:]
    ((unpublished,),) = dagster_rows(engine, "SELECT count(*) FROM outbox_events WHERE published_at IS NULL")
    assert unpublished == 0


def test_a_database_that_is_not_there_is_one_sentence(environment: dict[str, str], database_url: str) -> None:
    missing = make_url(database_url).set(database="none", password="verysecret")
    elsewhere = {**environment, "DATABASE_URL": missing.render_as_string(hide_password=False)}

    done = execute(elsewhere, "ann")

    assert done.returncode != 0
    assert "The database 'none' at " in done.stderr
    assert "can't be used: it has no database of that name" in done.stderr
    assert "Traceback" not in done.stderr
    assert "verysecret" not in done.stderr + done.stdout


def test_a_run_tells_how_each_chain_ended(
    engine: Engine, environment: dict[str, str], simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuit_breakers (key, state, opened_at, retry_at, cause, last_error) "
            "VALUES ('alchemy:10', 'open', now(), '2126-03-02 12:00:00.123456+00', 'failures', 'It did not answer.')"
        )
    listener = Listener(engine)

    done = execute(environment, "ann")

    assert done.returncode == 0, done.stderr[-3000:]
    heard = listener.heard()
    listener.close()
    told = {chain["chainId"]: chain for chain in heard}
    assert len(heard) == len(told)
    assert {chain_id: chain["state"] for chain_id, chain in told.items()} == {
        1: "done", 137: "failed", 10: "skipped", 42161: "done", 8453: "done",
    }  # fmt: skip
    assert {(c["userId"], c["syncOperationId"]) for c in told.values()} == {("ann", str(operation(engine).id))}
    assert (told[1]["reason"], told[1]["retryAt"]) == (None, None)
    assert "upstream_timeout" in told[137]["reason"]
    assert "Optimism was not asked." in told[10]["reason"]
    assert told[10]["retryAt"] == "2126-03-02T12:00:00.123Z"
