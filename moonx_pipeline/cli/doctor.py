"""``moonx doctor``: checks every invariant of the stored data."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import EXIT_FAILED

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from moonx_pipeline.storage.monitoring.invariants import Unchecked, Violation


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.001),
    default=60.0,
    show_default=True,
    help="The longest that the check of one invariant may take.",
)
def doctor(as_json: bool, seconds: float) -> int:
    """Check every invariant of the stored data, and say what is wrong; nothing is changed."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.monitoring.invariants import INVARIANTS, Unchecked, Violation

    with ready_engine(load_settings()).connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        users, operations = connection.exec_driver_sql(
            "SELECT (SELECT count(*) FROM user_sync_status), (SELECT count(*) FROM kept_operations)"
        ).one()
        found = _check(connection, seconds)
    violations = [one for one in found if isinstance(one, Violation)]
    unchecked = [one for one in found if isinstance(one, Unchecked)]
    checked = len(INVARIANTS) - len(unchecked)
    if as_json:
        told = {
            "checked": checked,
            "violations": [one._asdict() for one in violations],
            "unchecked": [one._asdict() for one in unchecked],
        }
        echo(json.dumps(told, indent=2))
    elif not found:
        echo(f"All is well: {checked} invariants hold for {users:,} users and {operations:,} syncs.")
    else:
        _explain(violations, unchecked, checked, seconds)
    return EXIT_FAILED if found else 0


def _check(connection: Connection, seconds: float) -> list[Violation | Unchecked]:
    from moonx_pipeline.storage.monitoring.invariants import INVARIANTS, check_invariant

    with click.progressbar(
        INVARIANTS,
        label="Checking",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        item_show_func=lambda invariant: invariant and invariant.name,
    ) as invariants:
        found = [check_invariant(connection, invariant, seconds=seconds) for invariant in invariants]
    return [result for result in found if result is not None]


def _explain(violations: list[Violation], unchecked: list[Unchecked], checked: int, seconds: float) -> None:
    for violation in violations:
        echo(f"{violation.name}: broken. {violation.what}")
        for example in violation.examples:
            echo(f"  {example}")
    for one in unchecked:
        echo(f"{one.name}: not checked, since {one.why}.")
    if violations:
        echo(
            f"{len(violations)} of {checked} invariants are broken. Nothing was changed. A new sync of the "
            "users named repairs holdings and totals; please report the rest with these lines."
        )
    if unchecked:
        echo(
            f"{len(unchecked)} invariants were not checked: give them longer, with 'moonx doctor --seconds "
            f"{seconds * 10:g}'."
        )
