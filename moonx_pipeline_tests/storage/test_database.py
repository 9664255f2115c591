"""Reaching the database, and a clear word when it can't be reached."""

import os
import socket
import threading

import pytest
from sqlalchemy import Engine, make_url

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.causes import cause_of
from moonx_pipeline.storage.connection.engine import dagster_database_url, open_engine, reach


def refused(url: str) -> str:
    with pytest.raises(OperatorError) as problem:
        reach(open_engine(url), wait_seconds=0)
    return str(problem.value)


def test_nothing_listening_says_so_and_hides_the_password() -> None:
    text = refused("postgresql+psycopg2://ann:verysecret@127.0.0.1:1/moonx")

    assert text == (
        "The database 'moonx' at 127.0.0.1:1 can't be used: nothing listens there: start it, or check host and port."
    )


def test_an_unknown_host_says_so() -> None:
    assert "its host is not known" in refused("postgresql+psycopg2://ann@no-such-host.invalid/moonx")


def test_a_missing_database_says_so(database_url: str) -> None:
    url = make_url(database_url).set(database="nowhere").render_as_string(hide_password=False)

    assert "it has no database of that name: create it" in refused(url)


def test_an_unknown_user_says_so(database_url: str) -> None:
    url = make_url(database_url).set(username="stranger").render_as_string(hide_password=False)

    assert "it does not know the user" in refused(url)


@pytest.mark.parametrize(
    "said",
    [
        'FATAL:  remaining connection slots are reserved for roles with the "pg_use_reserved_connections" attribute',
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "FATAL:  sorry, too many clients already",
        'FATAL:  too many connections for role "ann"',
    ],
)
def test_connections_that_are_used_up_are_no_unknown_user(said: str) -> None:
    cause = cause_of(f'connection to server at "db" (10.0.0.1), port 5432 failed: {said}')

    assert cause is not None
    assert "it has no connection left" in cause.meaning
    assert cause.passes


def test_a_database_without_a_free_connection_says_so_and_is_waited_for(engine: Engine, database_url: str) -> None:
    role = make_url(database_url).database
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    try:
        url = make_url(database_url).set(username=role).render_as_string(hide_password=False)
        holder = open_engine(url)
        held = holder.connect()
        assert "it has no connection left" in refused(url)
        threading.Timer(0.5, lambda: (held.close(), holder.dispose())).start()
        late = open_engine(url)
        reach(late, wait_seconds=15)
        late.dispose()
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {role}")


def test_what_is_not_postgresql_says_what_the_driver_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        text = refused(f"postgresql+psycopg2://ann@127.0.0.1:{server.getsockname()[1]}/moonx?sslmode=disable")
        thread.join()

    assert "can't be used" in text


def test_a_database_that_comes_up_late_is_waited_for_and_that_is_said_once(
    postgres_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_url(postgres_server).query["host"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    reached = threading.Event()

    def come_up() -> None:
        # A door to the real server, opened only after the first attempts have failed.
        with socket.create_server(("127.0.0.1", port)) as door:
            door.settimeout(20)
            inside, _ = door.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{path}/.s.PGSQL.5432")
            threading.Thread(target=_pump, args=(server, inside), daemon=True).start()
            _pump(inside, server)
            reached.set()

    timer = threading.Timer(0.5, come_up)
    timer.start()
    engine = open_engine(f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres?sslmode=disable")

    reach(engine, wait_seconds=20)

    engine.dispose()
    assert reached.wait(20)
    timer.join()
    (said,) = (record.getMessage() for record in caplog.records if record.name == "database")
    assert "nothing listens there" in said
    assert said.endswith("Waiting for it, up to 20 s.")


def test_a_connection_that_is_cut_without_a_word_breaks_within_seconds(postgres_server: str) -> None:
    """What the kernel does about it was measured with packets that are dropped; here, that it is asked to."""
    path = make_url(postgres_server).query["host"]
    with socket.create_server(("127.0.0.1", 0)) as door:

        def let_in() -> None:
            inside, _ = door.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{path}/.s.PGSQL.5432")
            threading.Thread(target=_pump, args=(server, inside), daemon=True).start()
            _pump(inside, server)

        threading.Thread(target=let_in, daemon=True).start()
        engine = open_engine(
            f"postgresql+psycopg2://postgres@127.0.0.1:{door.getsockname()[1]}/postgres?sslmode=disable"
        )
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            # A copy of its descriptor: closing it leaves the connection alone.
            with socket.socket(fileno=os.dup(driver.fileno())) as used:
                asked = [
                    used.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (
                        socket.TCP_KEEPIDLE,
                        socket.TCP_KEEPINTVL,
                        socket.TCP_KEEPCNT,
                        socket.TCP_USER_TIMEOUT,
                    )
                ]
                assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        engine.dispose()

    idle, interval, count, unacknowledged_ms = asked
    assert idle + interval * count <= 10
    assert unacknowledged_ms <= 10_000


def _pump(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)


def test_dagster_has_a_schema_of_its_own_unless_a_database_is_given(database_url: str, engine: Engine) -> None:
    shared = Settings.from_environment({"DATABASE_URL": database_url})
    apart = Settings.from_environment({"DATABASE_URL": database_url, "DAGSTER_DATABASE_URL": "postgresql://h/dagster"})

    url = dagster_database_url(shared)

    own = open_engine(url)
    with own.connect() as connection:
        assert connection.exec_driver_sql("SELECT current_schema()").scalar_one() == "dagster"
    own.dispose()
    assert dagster_database_url(apart) == "postgresql+psycopg2://h/dagster"
