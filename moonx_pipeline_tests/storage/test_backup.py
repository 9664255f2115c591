"""A backup made while syncs go on, and what a restored database does then."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from moonx_pipeline.events.publish import publish_pending
from moonx_pipeline.settings import Settings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS, derived_address
from moonx_pipeline.storage.connection.embedded import embedded_url, release
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import ensure_schema
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.syncs.event_reads import OLDEST, newest, read_after
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.commands import ROOT, moonx
from moonx_pipeline_tests.support.outbox import consume, unpublished_count
from moonx_pipeline_tests.support.syncs import events, held, register, status, sync, violations

pytestmark = pytest.mark.slow

USERS = [f"user{number}" for number in range(8)]
USDC = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (1, "USDC"))


class Home:
    """An embedded database of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = embedded_url(folder)
        self.engine = open_engine(self.url)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs ``moonx`` on it."""
        return moonx(*arguments, cwd=self.folder, MOONX_HOME=str(self.folder), DAGSTER_HOME=str(ROOT), **environment)


@pytest.fixture
def new_home() -> Iterator[Callable[[], Home]]:
    """Makes embedded databases without a schema."""
    homes: list[Home] = []
    with tempfile.TemporaryDirectory(prefix="moonx-backup-", ignore_cleanup_errors=True) as folder:

        def make() -> Home:
            homes.append(Home(Path(folder) / str(len(homes))))
            return homes[-1]

        yield make
        for home in homes:
            home.engine.dispose()
            release(home.folder)


@pytest.fixture
def old(new_home: Callable[[], Home]) -> Home:
    """One with the schema."""
    home = new_home()
    ensure_schema(home.engine, is_embedded=True)
    return home


@pytest.fixture
def kafka(kafka_topics: KafkaTopics) -> KafkaSettings:
    return Settings.from_environment(kafka_topics.environment).kafka


def runtime_of(home: Home, simulator: RunningSimulator) -> Runtime:
    return open_runtime(Settings.from_environment({**simulator.environment(), **FAST, **UNLIMITED}), home.engine)


@contextmanager
def syncs_going_on(home: Home, runtime: Runtime, simulator: RunningSimulator) -> Iterator[None]:
    """Syncs that each find something changed, until the block ends."""
    ending = threading.Event()
    began = threading.Event()

    def go_on() -> None:
        amount = 10
        while not ending.is_set():
            amount += 1
            for user in USERS:
                simulator.simulation.world.set_balance(derived_address(user), USDC, amount * 10**6)
                sync(runtime, user)
                began.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        assert began.wait(60)
        yield
    finally:
        ending.set()
        thread.join(60)


def event_ids(engine: Engine, *, published: bool) -> set[str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT id::text FROM outbox_events WHERE (published_at IS NOT NULL) = %s", (published,)
        )
        return set(rows.scalars())


def publish_all(engine: Engine, kafka: KafkaSettings) -> None:
    while unpublished_count(engine):
        publish_pending(engine, kafka)


def consumed(kafka: KafkaSettings, count: int) -> list[dict]:
    return [json.loads(record.value) for record in consume(kafka, count, ("sync.events", "portfolio.updates"))]


def test_a_backup_of_a_busy_database_is_whole_and_unpublished_events_go_out(
    old: Home, new_home: Callable[[], Home], simulator: RunningSimulator, kafka: KafkaSettings, tmp_path: Path
) -> None:
    runtime, file = runtime_of(old, simulator), tmp_path / "moonx.backup"
    for user in USERS:
        register(old.engine, user, derived_address(user))
        sync(runtime, user)
    publish_all(old.engine, kafka)
    with syncs_going_on(old, runtime, simulator):
        backed_up = old.run("backup", str(file))
    assert backed_up.returncode == 0, backed_up.stderr
    assert file.stat().st_mode & 0o077 == 0
    publish_all(old.engine, kafka)
    told = event_ids(old.engine, published=True)

    home = new_home()
    restored = home.run("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert f"Restored {len(USERS)} users as of" in restored.stdout

    doctor = home.run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    again = event_ids(home.engine, published=False)
    assert again & told
    publish_all(home.engine, kafka)
    records = consumed(kafka, len(told) + len(again))
    counts = {event["eventId"]: 0 for event in records}
    for event in records:
        counts[event["eventId"]] += 1
    assert counts.keys() == told | again
    assert {event_id for event_id, count in counts.items() if count == 2} == again & told
    assert set(counts.values()) == {1, 2}

    runtime = runtime_of(home, simulator)
    assert {sync(runtime, user).status for user in USERS} == {"completed"}
    assert violations(home.engine) == []


def test_after_a_restore_each_portfolio_is_told_of_anew_above_what_was_told_before(
    old: Home, new_home: Callable[[], Home], simulator: RunningSimulator, tmp_path: Path
) -> None:
    runtime, file = runtime_of(old, simulator), tmp_path / "moonx.backup"
    register(old.engine, "ann", derived_address("ann"))
    world = simulator.simulation.world
    world.set_balance(derived_address("ann"), USDC, 10)
    sync(runtime)
    assert old.run("backup", str(file)).returncode == 0
    world.set_balance(derived_address("ann"), USDC, 20)
    sync(runtime)
    told = status(old.engine, "ann").portfolio_version

    home = new_home()
    assert home.run("restore", str(file)).returncode == 0
    assert held(home.engine)[1, USDC.address] == 10
    world.set_balance(derived_address("ann"), USDC, 10)  # as it is stored, and not as it was told last
    sync(runtime_of(home, simulator))

    updated = [event for event in events(home.engine) if event["eventType"] == "portfolio.updated"][-1]
    assert updated["version"] > told
    assert updated["version"] == status(home.engine, "ann").portfolio_version
    assert violations(home.engine) == []


def test_readers_of_the_outbox_find_what_was_restored_and_what_is_new(
    old: Home, new_home: Callable[[], Home], simulator: RunningSimulator, tmp_path: Path
) -> None:
    file = tmp_path / "moonx.backup"
    with autocommit(old.engine) as connection:
        for _ in range(3000):  # a server of some age: a new one is far from these numbers
            connection.exec_driver_sql("SELECT pg_current_xact_id()")
    register(old.engine, "ann", derived_address("ann"))
    sync(runtime_of(old, simulator))
    assert old.run("backup", str(file)).returncode == 0

    home = new_home()
    assert home.run("restore", str(file)).returncode == 0

    with autocommit(home.engine) as connection:
        kept, _ = read_after(connection, OLDEST, 100)
        position = newest(connection)
        sync(runtime_of(home, simulator))
        new, _ = read_after(connection, position, 100)
    assert [row.type for row in kept] == [event["eventType"] for event in events(old.engine)]
    assert [str(row.id) for row in new] == [event["eventId"] for event in events(home.engine)][len(kept) :]
    assert new


def test_a_file_that_is_there_is_never_written_over(old: Home, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("of somebody")

    refused = old.run("backup", str(file))
    nowhere = old.run("backup", str(tmp_path / "nowhere" / "file"))

    assert refused.returncode == nowhere.returncode == 2
    assert "exists already" in refused.stderr
    assert "make it first" in nowhere.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert file.read_text() == "of somebody"


def test_a_backup_of_a_later_version_or_into_a_filled_database_is_refused(
    old: Home, new_home: Callable[[], Home], tmp_path: Path
) -> None:
    good, later, other = tmp_path / "good", tmp_path / "later", tmp_path / "other"
    assert old.run("backup", str(good)).returncode == 0
    with old.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO schema_migrations (migration_hash, migration_id, applied_at_utc) VALUES ('x', '9999.l', now())"
        )
    assert old.run("backup", str(later)).returncode == 0
    other.write_text("no backup at all")
    home = new_home()

    for file, said in (
        (tmp_path / "none", "There is no file"),
        (other, "input file does not appear to be a valid archive"),
        (later, "backup of a later version of moonx: this one does not know 9999.l"),
    ):
        refused = home.run("restore", str(file))
        assert (refused.returncode, said in refused.stderr) in ((1, True), (2, True)), refused.stderr
    assert home.run("restore", str(good)).returncode == 0
    full = home.run("restore", str(good))

    assert full.returncode == 1
    assert "is not empty" in full.stderr


def test_a_database_of_the_operators_own_is_left_to_its_own_tools_and_only_settled(
    engine: Engine, database_url: str, runtime: Runtime, tmp_path: Path
) -> None:
    register(engine, "ann", derived_address("ann"))
    sync(runtime)

    for command in (("backup", "file"), ("restore", "file")):
        refused = moonx(*command, cwd=tmp_path, DATABASE_URL=database_url)
        assert refused.returncode == 2
        assert "a database of your own" in refused.stderr
    settled = moonx("restore", "--settle", cwd=tmp_path, DATABASE_URL=database_url)

    assert settled.returncode == 0, settled.stderr
    assert status(engine, "ann").content_hash is None
    assert violations(engine) == []


@pytest.mark.parametrize("arguments", [(), ("file", "--settle")])
def test_a_restore_names_a_file_or_settles(arguments: tuple[str, ...], tmp_path: Path) -> None:
    refused = moonx("restore", *arguments, cwd=tmp_path)

    assert refused.returncode == 2
    assert "FILE" in refused.stderr
