"""``moonx doctor``: checks every invariant of the stored data."""

from __future__ import annotations

import json

import click

from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import EXIT_FAILED


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(as_json: bool) -> int:
    """Check every invariant of the stored data, and say what is wrong; nothing is changed."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.monitoring.invariants import INVARIANTS, check_invariants

    with ready_engine(load_settings()).connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        violations = check_invariants(connection)
        users, operations = connection.exec_driver_sql(
            "SELECT (SELECT count(*) FROM user_sync_status), (SELECT count(*) FROM sync_operations)"
        ).one()
    if as_json:
        echo(json.dumps({"checked": len(INVARIANTS), "violations": [v._asdict() for v in violations]}, indent=2))
    elif not violations:
        echo(f"All is well: {len(INVARIANTS)} invariants hold for {users:,} users and {operations:,} syncs.")
    else:
        for violation in violations:
            echo(f"{violation.name}: broken. {violation.what}")
            for example in violation.examples:
                echo(f"  {example}")
        echo(
            f"{len(violations)} of {len(INVARIANTS)} invariants are broken. Nothing was changed. A new sync of the "
            "users named repairs holdings and totals; please report the rest with these lines."
        )
    return EXIT_FAILED if violations else 0
