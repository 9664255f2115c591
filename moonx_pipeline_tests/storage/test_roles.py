"""Each part's role in the database: what it may not do, tried by itself; other suites run parts by their roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from pydantic import SecretStr
from sqlalchemy import Engine, NullPool, create_engine, make_url

from moonx_pipeline.clock import utc_now
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.migrations import ensure_schema, migrate
from moonx_pipeline.storage.connection.roles import ROLES, apply_roles
from moonx_pipeline.storage.portfolios.users import remove_user
from moonx_pipeline.storage.upkeep.history import drop_history, ensure_history
from moonx_pipeline.storage.upkeep.pack_history import pack_history
from moonx_pipeline.sync.cancel import cancel_operation
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.requests.ask import ask_for_sync
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline_tests.fixtures.database import as_role, running_postgres
from moonx_pipeline_tests.support.packing import TWO_DAYS, kept, pack, publish_all
from moonx_pipeline_tests.support.sql import execute, rows
from moonx_pipeline_tests.support.syncs import held, operation, register, sync

Asked = Callable[[str, str], None]


@pytest.fixture
def ask(database_url: str) -> Asked:
    """Executes a statement as a role."""

    def execute(role: str, statement: str) -> None:
        engine = create_engine(as_role(database_url, role))
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement)
        except Exception as problem:
            raise getattr(problem, "orig", problem) from None
        finally:
            engine.dispose()

    return execute


ANYBODY = [
    "CREATE ROLE other",
    "ALTER ROLE moonx_worker SUPERUSER",
    "DROP TABLE user_wallets",
    "ALTER TABLE user_token_holdings DISABLE TRIGGER ALL",
    "TRUNCATE outbox_events",
    "CREATE OR REPLACE FUNCTION wake_user() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "UPDATE schema_migrations SET runs_with = '0001.users-and-holdings'",
    "COPY user_wallets TO '/tmp/wallets'",
    "SELECT pg_read_file('postgresql.conf')",
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("statement", ANYBODY)
def test_no_part_may_change_the_schema_or_roles_or_reach_files(ask: Asked, role: str, statement: str) -> None:
    with pytest.raises(psycopg2.Error) as refused:
        ask(role, statement)

    assert "permission denied" in str(refused.value) or "must be owner" in str(refused.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE user_token_holdings SET balance = 1",
        "INSERT INTO user_token_holdings_history SELECT * FROM user_token_holdings_history",
        "DELETE FROM token_evidence",
        "UPDATE token_registry SET symbol = 'X'",
        "DELETE FROM sync_operations",
        "UPDATE outbox_events SET payload = '{}'",
        "DELETE FROM outbox_events",
        "DELETE FROM worker_processes",
        "CREATE TABLE other (id integer)",
        "CREATE TABLE dagster.other (id integer)",
        "CREATE TABLE celery.other (id integer)",
    ],
)
def test_the_gateway_may_not_write_what_syncs_store(ask: Asked, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        ask("moonx_gateway", statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM user_wallets",
        "SELECT * FROM user_token_holdings",
        "SELECT * FROM sync_operations",
        "INSERT INTO outbox_events (id) VALUES (gen_random_uuid())",
        "DELETE FROM outbox_events",
        "CREATE TABLE other (id integer)",
        "CREATE TABLE dagster.other (id integer)",
    ],
)
def test_the_relay_may_read_and_mark_events_and_nothing_else(ask: Asked, statement: str) -> None:
    ask("moonx_relay", "UPDATE outbox_events SET published_at = now()")
    with pytest.raises(InsufficientPrivilege):
        ask("moonx_relay", statement)


def test_the_gateway_cancels_a_running_sync_and_a_waiting_request(
    database_url: str, engine: Engine, runtime: Runtime
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    running = SyncPipeline(runtime).open(SyncSpec(uuid4(), "ann"))
    waiting = ask_for_sync(
        engine, Settings.from_environment({}), "bob", source="api", priority="high", limited=False
    ).request_id
    assert waiting is not None
    gateway = open_engine(as_role(database_url, "moonx_gateway"))

    for sync_id in (running.operation_id, waiting):
        assert cancel_operation(gateway, sync_id, "Cancelled by its user.", utc_now()) is not None

    gateway.dispose()
    assert operation(engine, "ann").status == "cancelled"


def test_the_worker_syncs_and_keeps_the_months_of_history(
    database_url: str, engine: Engine, settings: Settings
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    own = open_engine(as_role(database_url, "moonx_worker"))
    try:
        assert sync(open_runtime(settings, own)).status == "completed"
        assert held(engine, "ann")
        later = date.today() + timedelta(days=800)  # noqa: DTZ011 - any month that has no table
        assert ensure_history(own, later) > 0
        assert drop_history(own, later + timedelta(days=400))
    finally:
        own.dispose()


def test_the_worker_packs_the_relay_replays_and_the_gateway_removes(
    database_url: str, engine: Engine, runtime: Runtime
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    publish_all(engine)
    execute(engine, "UPDATE user_token_holdings_history SET created_at = created_at - %s", (TWO_DAYS,))
    worker, gateway, relay = (
        open_engine(as_role(database_url, role)) for role in ("moonx_worker", "moonx_gateway", "moonx_relay")
    )
    try:
        assert pack(worker) == 3
        assert sum(pack_history(worker, utc_now())) > 0
        assert len(kept(relay)) == len(kept(gateway)) == 3
        assert rows(gateway, "SELECT count(*) FROM history_packs") == [(1,)]
        with gateway.begin() as connection:
            remove_user(connection, "ann")
    finally:
        for own in (worker, gateway, relay):
            own.dispose()
    assert rows(engine, "SELECT count(*) FROM history_packs") == [(0,)]


def test_a_part_that_may_not_make_tables_starts_where_a_month_is_missing(database_url: str, engine: Engine) -> None:
    drop_history(engine, date.today() + timedelta(days=400))  # noqa: DTZ011 - all months
    own = open_engine(as_role(database_url, "moonx_gateway"))
    try:
        ensure_schema(own, is_embedded=False)
    finally:
        own.dispose()


def test_an_owner_who_is_no_superuser_gives_them_their_rights(empty_database_url: str) -> None:
    admin = create_engine(empty_database_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE some_owner LOGIN")
        connection.exec_driver_sql("GRANT moonx_worker TO some_owner")
        connection.exec_driver_sql(f"ALTER DATABASE {admin.url.database} OWNER TO some_owner")
    owner = open_engine(as_role(empty_database_url, "some_owner"))
    try:
        migrate(owner)
        with owner.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE dagster.runs (id integer)")
        apply_roles(owner, {})
        apply_roles(owner, {})
        with owner.begin() as connection:  # what a later migration does
            connection.exec_driver_sql("ALTER TABLE user_token_holdings_history ADD COLUMN later integer")
            connection.exec_driver_sql("ALTER TABLE user_token_holdings ADD COLUMN later integer")
    finally:
        owner.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {admin.url.database} OWNER TO postgres")
            connection.exec_driver_sql("REASSIGN OWNED BY some_owner TO postgres")
            connection.exec_driver_sql("DROP OWNED BY some_owner")
            connection.exec_driver_sql("DROP ROLE some_owner")
        admin.dispose()


def test_roles_are_given_their_rights_again_after_a_migration(empty_database_url: str) -> None:
    engine = open_engine(empty_database_url)
    try:
        migrate(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql("GRANT ALL ON user_token_holdings TO moonx_relay")
            connection.exec_driver_sql("CREATE TABLE dagster.runs (id integer)")
        for _ in range(2):
            assert apply_roles(engine, {"moonx_relay": SecretStr("it's")}) == ()
        with engine.connect() as connection:
            allowed, owner, hashed = connection.exec_driver_sql(
                "SELECT has_table_privilege('moonx_relay', 'user_token_holdings', 'SELECT'), "
                "(SELECT tableowner FROM pg_tables WHERE schemaname = 'dagster' AND tablename = 'runs'), "
                "(SELECT rolpassword FROM pg_authid WHERE rolname = 'moonx_relay')"
            ).one()
    finally:
        engine.dispose()

    assert (allowed, owner) == (False, "moonx_worker")
    assert hashed.startswith("SCRAM-SHA-256$")


@pytest.fixture(scope="module")
def owned() -> Iterator[tuple[str, Engine]]:
    """A new server, whose schema belongs to an owner that is no superuser, and an administrator of it."""
    with running_postgres() as server:
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE template_moonx")
            for role in ROLES:
                connection.exec_driver_sql(f"DROP ROLE {role}")
            connection.exec_driver_sql("CREATE ROLE some_owner LOGIN")
            connection.exec_driver_sql("CREATE DATABASE owned OWNER some_owner")
        url = make_url(server).set(database="owned").render_as_string(hide_password=False)
        migrate(owner := open_engine(as_role(url, "some_owner")))
        owner.dispose()
        yield as_role(url, "some_owner"), admin
        admin.dispose()


@pytest.mark.slow
def test_an_owner_who_may_make_no_roles_says_what_to_do_and_then_makes_them(owned: tuple[str, Engine]) -> None:
    url, admin = owned
    owner = open_engine(url)
    passwords = {role: SecretStr(f"of {role}") for role in ROLES}

    with pytest.raises(OperatorError, match=r"some_owner may not: permission denied to create role\. Give it"):
        apply_roles(owner, passwords)

    with admin.connect() as connection:
        connection.exec_driver_sql("ALTER ROLE some_owner CREATEROLE")
    assert apply_roles(owner, passwords) == ROLES
    assert apply_roles(owner, passwords) == ()
    with owner.begin() as connection:  # what a later migration does
        connection.exec_driver_sql("ALTER TABLE user_token_holdings_history ADD COLUMN later integer")
        connection.exec_driver_sql("CREATE TABLE dagster.made_by_a_command (id serial PRIMARY KEY)")
    owner.dispose()
    for role, statement in (
        ("moonx_worker", "INSERT INTO dagster.made_by_a_command DEFAULT VALUES"),
        ("moonx_gateway", "SELECT id FROM dagster.made_by_a_command"),
    ):
        part = create_engine(as_role(url, role), poolclass=NullPool)
        with part.begin() as connection:
            assert connection.exec_driver_sql(statement).rowcount == 1
