"""Dagster's storage: which of its statements are sent, and what becomes of connections that were cut."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import psycopg2
import pytest
from psycopg2.extensions import connection as PsycopgConnection  # noqa: N812 - the driver writes its class in lower case
from sqlalchemy import make_url

from moonx_pipeline.defs import instance_storage


@dg.op
def says_nothing() -> None:
    """Does nothing."""


@dg.job
def quiet() -> None:
    says_nothing()


@pytest.fixture
def listener(instance: dg.DagsterInstance) -> Iterator[PsycopgConnection]:
    """A connection to the instance's database that hears of events, by the name that Dagster gives them."""
    url = make_url(instance.event_log_storage.postgres_url).set(drivername="postgresql")
    connection = psycopg2.connect(url.render_as_string(hide_password=False))
    connection.autocommit = True
    connection.cursor().execute("LISTEN run_events")
    yield connection
    connection.close()


def test_a_run_is_recorded_and_its_events_are_announced_to_nobody(
    instance: dg.DagsterInstance, listener: PsycopgConnection
) -> None:
    run = quiet.execute_in_process(instance=instance)

    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.SUCCESS
    assert len(instance.all_logs(run.run_id)) > 5
    listener.cursor().execute("SELECT 1")
    assert listener.notifies == []


def test_an_idle_connection_that_was_cut_is_replaced(
    instance: dg.DagsterInstance, listener: PsycopgConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = instance.get_runs_count()
    monkeypatch.setattr(instance_storage, "_TRUSTED_SECONDS", 0.0)
    listener.cursor().execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'moonx-dagster'"
    )

    assert instance.get_runs_count() == before
