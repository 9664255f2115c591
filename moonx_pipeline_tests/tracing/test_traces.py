"""Traces of the running system: what a click leads to is one of them, up to the events in Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.simulator.world import POLYGON_WALLET
from moonx_pipeline_tests.fixtures.dagster import System, Worker, eventually, running_system
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, running_gateway, token_of
from moonx_pipeline_tests.fixtures.kafka import KafkaBroker, KafkaTopics
from moonx_pipeline_tests.support.collector import Collector, Span, running_collector
from moonx_pipeline_tests.support.outbox import consume
from moonx_pipeline_tests.support.syncs import register
from moonx_pipeline_tests.support.workers import new_user, rows

CLICK = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The trace that a user's page is in."""

SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
SERVER, CLIENT, PRODUCER = 2, 3, 4


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def kafka(kafka_server: KafkaBroker) -> KafkaTopics:
    return KafkaTopics(kafka_server)


@pytest.fixture(scope="module")
def system(
    postgres_server: str,
    simulator_server: RunningSimulator,
    kafka: KafkaTopics,
    collector: Collector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """A system of which every part has that collector."""
    settings = {
        **kafka.environment,
        **SOON,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Login=sekrit%20word",
        "LOG_FORMAT": "json",
        "ALCHEMY_API_KEY": "sekrit-alchemy",
    }
    folder = tmp_path_factory.mktemp("traces")
    with running_system(postgres_server, simulator_server, folder, **settings) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def worker(system: System) -> Worker:
    """It carries the runs; a relay and Dagster's processes are beside it."""
    worker = system.start_worker(2)
    system.start_dagster(daemon=False)
    system.start("moonx_pipeline", "relay")
    return worker.until_ready()


@pytest.fixture(scope="module")
def gateway(system: System, worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    kept = ("KAFKA_", "OTEL_", "LOG_")
    settings = {name: value for name, value in system.environment.items() if name.startswith(kept)}
    with running_gateway(
        system.environment["DATABASE_URL"],
        tmp_path_factory.mktemp("gateway"),
        DAGSTER_GRAPHQL_URL=system.graphql,
        **settings,
    ) as running:
        yield running


def click(gateway: GatewayProcess, user: str, traceparent: str) -> None:
    answer = gateway.ask("POST", "/api/v1/portfolio/refresh", token_of(user), headers={"traceparent": traceparent})
    assert answer.status_code == 202, answer.text


def events_of(system: System, user: str) -> dict[str, Any]:
    """What a user's events name as their trace, by type; once his sync has ended."""

    def look() -> dict[str, Any]:
        found = dict(
            rows(system.engine, "SELECT type, headers->>'traceparent' FROM outbox_events WHERE key = %s", user)
        )
        assert {"sync.completed", "sync.failed"} & found.keys(), found
        return found

    return eventually(look)


def arrived(collector: Collector, trace: str, *names: str) -> list[Span]:
    """The spans of a trace, once all of these names are among them."""

    def look() -> list[Span]:
        spans = collector.of_trace(trace)
        assert set(names) <= {span.name for span in spans}, sorted({span.name for span in spans})
        return spans

    return eventually(look)


def test_a_click_is_one_trace_from_its_request_to_its_events_in_kafka(
    system: System, gateway: GatewayProcess, collector: Collector
) -> None:
    user = new_user(system)
    click(gateway, user, f"00-{CLICK}-00f067aa0ba902b7-01")

    named = events_of(system, user)
    topics = ("portfolio.updates", "sync.events", "user.activities")
    sent = eventually(lambda: mine(consume(system.settings.kafka, 4, topics), user))
    assert named.keys() == sent.keys() == {"user.activity", "sync.started", "sync.completed", "portfolio.updated"}
    assert {kind: traceparent.encode() for kind, traceparent in named.items()} == sent
    assert {traceparent.split("-")[1] for traceparent in named.values()} == {CLICK}

    chains = ("ethereum", "polygon", "optimism", "arbitrum", "base")
    fetches = [f"fetch_{chain}" for chain in chains]
    request = "POST /api/v1/portfolio/refresh"
    spans = arrived(
        collector, CLICK, request, "launch_run", "portfolio_sync", *fetches, *(f"send {topic}" for topic in topics)
    )
    (asked,) = [span for span in spans if span.name == request]
    assert (asked.service, asked.kind, asked.parent) == ("moonx-gateway", SERVER, "00f067aa0ba902b7")
    assert asked.attributes["http.response.status_code"] == 202
    assert asked.attributes["moonx.user"] == user
    (run,) = [span for span in spans if span.name == "portfolio_sync"]
    assert (run.service, run.parent, run.error) == ("moonx-worker", asked.id, None)
    ((operation, request_id),) = rows(
        system.engine, "SELECT id::text, request_id::text FROM sync_operations WHERE user_id = %s", user
    )
    about = {"moonx.run": operation, "moonx.request": request_id, "moonx.user": user, "moonx.trigger": "manual"}
    assert about.items() <= run.attributes.items()
    for name in ("open_sync", *fetches, "value_portfolio", "persist_portfolio", "publish_events"):
        (op,) = [span for span in spans if span.name == name]
        assert op.parent == run.id
    called = [span for span in spans if span.kind == CLIENT and span.name.startswith("alchemy ")]
    assert {tuple(collector.way_up(span)[2:]) for span in called} == {("portfolio_sync", request)}
    assert {collector.way_up(span)[1] for span in called} == {"open_sync", "value_portfolio"}
    written = [span for span in spans if "INSERT INTO outbox_events" in span.attributes.get("db.query.text", "")]
    assert [collector.way_up(span)[1] for span in written] == [request, "open_sync", "persist_portfolio"]
    assert all(span.attributes["db.system.name"] == "postgresql" for span in written)
    sendings = [span for span in spans if span.kind == PRODUCER]
    assert {(span.service, span.attributes["moonx.event"]) for span in sendings} == {
        ("moonx-relay", kind) for kind in named
    }
    assert all(collector.way_up(span)[-1] == request for span in sendings)


def mine(records: list, user: str) -> dict[str, bytes]:
    """The trace that each record of a user names, by its type."""
    found = {}
    for record in records:
        headers = dict(record.headers)
        if headers["ce_subject"] == user.encode():
            found[headers["ce_type"].decode()] = headers["traceparent"]
    assert len(found) == 4
    return found


def test_lines_of_the_log_name_the_trace(
    system: System, worker: Worker, gateway: GatewayProcess, collector: Collector
) -> None:
    user, trace = new_user(system), "1" * 32
    click(gateway, user, f"00-{trace}-00f067aa0ba902b7-01")
    events_of(system, user)
    arrived(collector, trace, "portfolio_sync")

    def line_of(text: str, **wanted: str) -> dict[str, Any]:
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return next(line for line in lines if wanted.items() <= line.items())

    assert line_of(gateway.log, event="request", trace=trace)["path"] == "/api/v1/portfolio/refresh"
    assert line_of(worker.log, user=user, trace=trace)["op"]


def test_what_failed_is_seen_in_its_span_and_in_that_of_the_run(
    system: System, gateway: GatewayProcess, simulator: RunningSimulator, collector: Collector
) -> None:
    simulator.fault("outage", "alchemy")
    user, trace = new_user(system, POLYGON_WALLET), "2" * 32
    click(gateway, user, f"00-{trace}-00f067aa0ba902b7-01")
    events_of(system, user)

    spans = arrived(collector, trace, "fetch_base", "portfolio_sync")
    (chain,) = [span for span in spans if span.name == "fetch_base"]
    assert chain.error
    assert chain.attributes["moonx.outcome"] == "failed"
    assert [span.error for span in spans if span.name == "portfolio_sync"] != [None]
    assert {span.error for span in spans if span.name.startswith("alchemy ")} != {None}


def test_a_request_that_is_not_recorded_by_its_caller_is_not_recorded_here(
    system: System, gateway: GatewayProcess, collector: Collector
) -> None:
    unrecorded, recorded = new_user(system), new_user(system)
    click(gateway, unrecorded, f"00-{'3' * 32}-00f067aa0ba902b7-00")
    events_of(system, unrecorded)
    click(gateway, recorded, f"00-{'4' * 32}-00f067aa0ba902b7-01")
    events_of(system, recorded)
    arrived(collector, "4" * 32, "portfolio_sync")

    assert collector.of_trace("3" * 32) == []


def test_a_sweep_is_a_trace_a_batch_that_its_users_events_name(system: System, collector: Collector) -> None:
    users = [f"swept-{number}" for number in range(3)]
    for user in users:
        register(system.engine, user, derived_address(user))
    run_id = system.submit("portfolio_sweep")
    assert system.ended(run_id) == ["SUCCESS"]

    traces = {named.split("-")[1] for user in users for named in events_of(system, user).values()}
    (trace,) = traces
    arrived(collector, trace, "sweep_batch")
    (batch,) = [span for span in collector.of_trace(trace) if span.name == "sweep_batch"]
    assert batch.parent == ""
    assert batch.attributes["moonx.run"] == run_id
    assert batch.attributes["moonx.users"] >= len(users)

    def the_run_too() -> None:
        assert collector.named("portfolio_sweep", run=run_id)

    eventually(the_run_too)


def test_what_polls_begins_no_traces_and_no_span_holds_a_secret(system: System, collector: Collector) -> None:
    assert collector.logins == {"sekrit word"}
    assert b"sekrit" not in collector.raw
    roots = {span.name for span in collector.spans if span.parent == ""}
    assert roots <= {"sweep_batch", "portfolio_sweep"}


def test_a_run_without_a_worker_is_recorded_whatever_carries_it(system: System, collector: Collector) -> None:
    command = ["job", "execute", "-m", "moonx_pipeline.definitions", "-j", "portfolio_sweep"]
    process, log = system.start("dagster", *command)
    assert process.wait(120) == 0, log.read_text()

    def arrived_here() -> None:
        assert {span.service for span in collector.named("portfolio_sweep")} >= {"moonx-run"}

    eventually(arrived_here)
