"""The settings of a worker, and a Dagster instance for the tests of sensors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import dagster as dg
import pytest
from sqlalchemy import Engine, create_engine, make_url

from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.storage.connection.engine import ready_engine
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.sensor_ticks import Ticks

_INSTANCE = """
storage:
  custom: {module: moonx_pipeline.defs.instance_storage, class: PooledStorage, config: {}}
run_coordinator: {module: dagster._core.run_coordinator.queued_run_coordinator, class: QueuedRunCoordinator}
telemetry: {enabled: false}
"""


_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def instance(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance with a database of its own, that the tests of this folder share."""
    home = tmp_path_factory.mktemp("dagster")
    # Another name each time: what is known of a database is kept by its address.
    name = f"dagster_of_sensors_{next(_numbers)}"
    (home / "dagster.yaml").write_text(_INSTANCE)
    url = make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_DATABASE_URL", url)
            load_settings.cache_clear()
            made = dg.DagsterInstance.from_config(str(home))
            assert made.event_log_storage
            load_settings.cache_clear()
        with made:
            yield made
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture
def environment(
    database_url: str, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    """The settings as a worker of this database has them."""
    for name, value in {**simulator.environment(), **FAST, **UNLIMITED, "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    yield monkeypatch
    load_settings.cache_clear()


@pytest.fixture
def ticks(
    database_url: str, engine: Engine, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ticks]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    load_settings.cache_clear()
    yield Ticks(engine, instance)
    ready_engine(load_settings()).dispose()
    load_settings.cache_clear()
