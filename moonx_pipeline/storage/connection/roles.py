"""Roles of the database with no more rights than each part needs, made by ``moonx migrate --roles``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from psycopg2 import sql
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import encrypt_password
from pydantic import SecretStr
from sqlalchemy import Engine

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.storage.connection.migrations import SQL_FOLDER

ROLES: Final = ("moonx_worker", "moonx_gateway", "moonx_relay")
_GRANTS: Final = SQL_FOLDER / "roles" / "grants.sql"


def apply_roles(engine: Engine, passwords: Mapping[str, SecretStr | None]) -> tuple[str, ...]:
    """Makes the roles that are missing, sets the passwords that are given, and grants each role its rights.

    Args:
        engine: The database, as the owner of the schema; it may make roles, or all of them are there already.
        passwords: By role; without one, a role keeps what it has.

    Returns:
        The roles that were made.

    Raises:
        OperatorError: The owner may not make them, or not hand tables over to them.
    """
    try:
        return _apply_roles(engine, passwords)
    except InsufficientPrivilege as problem:
        said = str(problem).strip().splitlines()[0]
        raise OperatorError(
            f"The roles were not made, for {engine.url.username} may not: {said}. Give it CREATEROLE. Or let an "
            f"administrator make {', '.join(ROLES)}, each with LOGIN and its password, and GRANT moonx_worker TO "
            f"{engine.url.username}; leave DB_WORKER_PASSWORD and its like unset here then."
        ) from None


def _apply_roles(engine: Engine, passwords: Mapping[str, SecretStr | None]) -> tuple[str, ...]:
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # noqa: S101 - the transaction has it
        with driver.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('moonx roles', 0))")
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(ROLES),))
            known = {row[0] for row in cursor.fetchall()}
            for role in ROLES:
                name = sql.Identifier(role)
                if role not in known:
                    cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
                if password := passwords.get(role):
                    # Hashed here: what a statement holds may be logged by the server.
                    hashed = encrypt_password(password.get_secret_value(), role, driver, "scram-sha-256")
                    cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(hashed)))
            # Only who may act as a role may hand tables over to it, and alter them in later migrations. Who makes a
            # role of PostgreSQL 16 or later is a member that may not, and has to give itself the rest.
            acts_as = "SET" if driver.server_version >= 160_000 else "MEMBER"
            cursor.execute("SELECT pg_has_role('moonx_worker', %s)", (acts_as,))
            if not cursor.fetchone()[0]:
                cursor.execute("GRANT moonx_worker TO CURRENT_USER")
            cursor.execute(_GRANTS.read_text())
    return tuple(role for role in ROLES if role not in known)
