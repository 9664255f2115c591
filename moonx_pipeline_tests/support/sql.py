"""Statements against the test's database."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

NOW = datetime(2026, 3, 15, 3, 30, tzinfo=UTC)


CUT = NOW - timedelta(days=30)


def rows(engine: Engine, sql: str, parameters: tuple = ()) -> list[tuple]:
    with engine.begin() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql, parameters)]


def execute(engine: Engine, sql: str, parameters: tuple = ()) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, parameters)
