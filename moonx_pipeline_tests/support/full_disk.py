"""A table that can't grow, with PostgreSQL's own error of a full disk."""

from __future__ import annotations

from sqlalchemy import Engine


def fill_disk(engine: Engine, table: str) -> None:
    """Lets each insert into a table fail as if its disk had no space left."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING "
            "ERRCODE = '53100', MESSAGE = 'could not extend file \"base/5/16384\": No space left on device', "
            "HINT = 'Check free disk space.'; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER no_space BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION no_space()"
        )
