"""An upgrade while the version before goes on, and a version that is taken back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import TOKENS, derived_address
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import (
    SQL_FOLDER,
    SchemaStanding,
    ensure_schema,
    known_migrations,
    migrate,
    schema_state,
)
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline.sync.sweep import Sweep, SweepSpec
from moonx_pipeline_tests.fixtures.dagster import ROOT
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.syncs import held, register, status, sync, violations

pytestmark = pytest.mark.slow

BEFORE = "970340874f743d414856ef1681b0514c7593fdb2"
"""The version before 0011.gateway."""

NEWEST = known_migrations()[-1]
USERS = [f"user{number}" for number in range(12)]
USDC = next(token for token in TOKENS.values() if (token.chain_id, token.symbol) == (1, "USDC"))

# What a worker of that version does, as it is told: syncs of one user each, and sweeps.
_OLD_WORKER = """
import json, sys, uuid
import moonx_pipeline
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.database import ready_engine
from moonx_pipeline.sync.order import SyncOrder
from moonx_pipeline.sync.sources import open_sources
from moonx_pipeline.sync.sweep import Sweep, SweepOrder
from moonx_pipeline.sync.user_sync import sync_user

settings = load_settings()
engine = ready_engine(settings)
sources = open_sources(settings, engine)
print(json.dumps(moonx_pipeline.__file__), flush=True)
for line in sys.stdin:
    what, *users = line.split()
    if what == "sync":
        answer = [sync_user(engine, sources, SyncOrder(uuid.uuid4(), user)).status for user in users]
    else:
        answer = dict(Sweep(engine, sources, SweepOrder(5)).run().statuses)
    print(json.dumps(answer), flush=True)
"""


class OldWorker:
    """A process of the version before."""

    def __init__(self, tree: Path, database_url: str, simulator: RunningSimulator) -> None:
        environment = {**simulator.environment(), **FAST, **UNLIMITED, "DATABASE_URL": database_url}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OLD_WORKER],
            env={**os.environ, **environment, "PYTHONPATH": str(tree)},
            cwd=tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert Path(self.answer()).is_relative_to(tree)

    def tell(self, *words: str) -> None:
        """Tells it what to do, and does not wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """What came of what it was told first."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def sync(self, *users: str) -> list[str]:
        self.tell("sync", *users)
        answer: list[str] = self.answer()
        return answer


@pytest.fixture(scope="module")
def old_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code and the migrations of the version before."""
    tree = tmp_path_factory.mktemp("before")
    archive = subprocess.run(
        ["git", "archive", BEFORE, "moonx_pipeline", "sql"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip("The version before is not in this checkout: it is a shallow clone, or no clone at all.")
    subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    return tree


@pytest.fixture
def old_worker(old_tree: Path, empty_database_url: str, simulator: RunningSimulator) -> Iterator[OldWorker]:
    """One that has started on a database of its own version."""
    worker = OldWorker(old_tree, empty_database_url, simulator)
    yield worker
    worker.process.kill()
    worker.process.communicate()


@pytest.fixture
def upgraded(empty_database_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_database_url)
    yield engine
    engine.dispose()


def make_due(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET next_sync_at = now(), last_active_at = now()")


def move(simulator: RunningSimulator, amount: int) -> None:
    """Every user's first wallet holds so much of a token now."""
    for user in USERS:
        simulator.simulation.world.set_balance(derived_address(user), USDC, amount * 10**6)


def test_the_version_before_goes_on_while_and_after_the_schema_is_migrated(
    old_worker: OldWorker, upgraded: Engine, simulator: RunningSimulator, settings: Settings
) -> None:
    with upgraded.connect() as connection:
        assert schema_state(connection).standing is SchemaStanding.OLDER
    for user in USERS:
        register(upgraded, user, derived_address(user))
    assert set(old_worker.sync(*USERS)) == {"completed"}

    move(simulator, 7)
    old_worker.tell("sync", *USERS)
    applied = migrate(upgraded)
    assert applied[0] == "0011.gateway"
    assert old_worker.answer() == ["completed"] * len(USERS)

    # Both versions at once, on the same users.
    runtime = open_runtime(settings, upgraded)
    move(simulator, 8)
    old_worker.tell("sync", *USERS)
    assert {sync(runtime, user).status for user in USERS} <= {"completed", "cancelled"}
    assert set(old_worker.answer()) <= {"completed", "cancelled"}
    make_due(upgraded)
    old_worker.tell("sweep")
    with ThreadPoolExecutor(1) as other:
        swept = other.submit(Sweep(runtime, SweepSpec(5)).run).result()
    both = sum(old_worker.answer().values()) + swept.users
    assert both == len(USERS)
    assert violations(upgraded) == []

    # Taken back: the new schema stays, and the old code alone goes on with what the new one has stored.
    move(simulator, 9)
    before = {user: status(upgraded, user).portfolio_version for user in USERS}
    assert old_worker.sync(*USERS) == ["completed"] * len(USERS)
    assert {held(upgraded, user)[1, USDC.address] for user in USERS} == {9 * 10**6}
    assert all(status(upgraded, user).portfolio_version == before[user] + 1 for user in USERS)
    make_due(upgraded)
    old_worker.tell("sweep")
    assert old_worker.answer() == {"completed": len(USERS)}
    assert violations(upgraded) == []

    # And the upgrade once more.
    assert migrate(upgraded) == ()
    assert {sync(runtime, user).status for user in USERS} == {"completed"}
    assert violations(upgraded) == []


def with_later(folder: Path, name: str, declaration: str) -> Path:
    """This version's migrations and a later one in a folder."""
    for file in SQL_FOLDER.glob("*.sql"):
        shutil.copy(file, folder)
    (folder / f"{name}.sql").write_text(f"{declaration}ALTER TABLE user_wallets ADD COLUMN later text;\n")
    return folder


def test_code_starts_on_a_newer_schema_that_says_so(engine: Engine, database_url: str, tmp_path: Path) -> None:
    later = with_later(tmp_path, "9001.later", f"-- Runs with code from: {NEWEST}\n-- A column.\n")
    assert migrate(engine, later) == ("9001.later",)
    with engine.connect() as connection:
        assert schema_state(connection).standing is SchemaStanding.AHEAD

    ensure_schema(engine, is_embedded=False)
    ensure_schema(engine, is_embedded=True)
    for command in (["migrate"], ["doctor"]):
        done = subprocess.run(
            [sys.executable, "-m", "moonx_pipeline", *command],
            env={**os.environ, "DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    with engine.connect() as connection:
        assert schema_state(connection).difference == ("9001.later",)


@pytest.mark.parametrize("declaration", ["", "-- A column.\n", "-- Runs with code from: 9000.between\n"])
def test_code_refuses_a_newer_schema_that_needs_newer_code(engine: Engine, tmp_path: Path, declaration: str) -> None:
    migrate(engine, with_later(tmp_path, "9001.later", declaration))

    for attempt in (lambda: ensure_schema(engine, is_embedded=True), lambda: migrate(engine)):
        with pytest.raises(OperatorError, match=r"does not know 9001\.later"):
            attempt()


def test_code_refuses_a_schema_of_another_history(engine: Engine, tmp_path: Path) -> None:
    later = with_later(tmp_path, "9001.later", f"-- Runs with code from: {NEWEST}\n")
    migrate(engine, later)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM schema_migrations WHERE migration_id = %s", (NEWEST,))

    with pytest.raises(OperatorError, match=r"does not know 9001\.later"):
        migrate(engine)


def test_every_declaration_names_an_earlier_migration() -> None:
    from moonx_pipeline.storage.connection.migrations import runs_with

    known = known_migrations()
    assert len(known) > 20
    for number, name in enumerate(known):
        declared = runs_with(SQL_FOLDER / f"{name}.sql")
        assert declared is None or declared in known[:number]
