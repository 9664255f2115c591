"""``moonx sync``: asks for syncs like the API, and follows them to their end."""

from __future__ import annotations

import json
import sys
from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from moonx_pipeline.cli.sync_report import AskedUser, follow_to_end, print_asked, report
from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import EXIT_FAILED, EXIT_PARTIAL, OperatorError, WrongUse
from moonx_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


_NAMED = 3


@click.command()
@click.argument("users", metavar="USER...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All users, at low priority.")
@click.option(
    "--stale", is_flag=True, help="Users who were read too long ago (PERIODIC_SYNC_STALE_THRESHOLD) or never."
)
@click.option("--failed", is_flag=True, help="Users whose last sync failed.")
@click.option("--wait", is_flag=True, help="Follow the syncs to their end.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, at the end.")
def sync(users: tuple[str, ...], every: bool, stale: bool, failed: bool, wait: bool, as_json: bool) -> int:
    """Ask for the sync of each USER, or of a selection of users.

    Ends with 0 when all is done, 1 when a sync failed or was refused, 3 when one is partial.
    """
    selections = [name for name, given in (("all", every), ("stale", stale), ("failed", failed)) if given]
    _refuse_wrong_use(users, selections)
    from moonx_pipeline.logs import set_up_logs
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.sync.requests.run_trigger import trigger_runs

    settings = load_settings()
    set_up_logs(settings)
    engine = ready_engine(settings)
    asked = _ask_selection(engine, settings, selections[0]) if selections else _ask_users(engine, settings, users)
    requests = [user.request_id for user in asked if user.request_id is not None]
    # Requests of low priority wait for the sensor.
    started = [] if selections else trigger_runs(engine, settings.service.graphql_url, requests)
    if not as_json:
        print_asked(asked, selections[0] if selections else None)
    if requests:
        _say_what_holds_it_up(engine, settings, all_started=len(started) == len(requests))
    if wait and requests:
        follow_to_end(engine, asked, quiet=as_json)
    if as_json:
        echo(json.dumps(report(asked), indent=2, ensure_ascii=False))
    return _exit_code(asked)


def _refuse_wrong_use(users: tuple[str, ...], selections: list[str]) -> None:
    if users and selections:
        raise WrongUse(f"USER and --{selections[0]} exclude each other: name users, or select them. Nothing was asked.")
    if len(selections) > 1:
        raise WrongUse(f"Give one of --{' and --'.join(selections)}. Nothing was asked.")
    if not users and not selections:
        raise WrongUse("Whose sync? Name users, or select them by --all, --stale or --failed.")


def _ask_users(engine: Engine, settings: Settings, users: tuple[str, ...]) -> list[AskedUser]:
    from moonx_pipeline.sync.requests.ask import ask_for_sync

    wanted = list(dict.fromkeys(users))
    _refuse_unknown(engine, wanted)
    asked = []
    for user_id in wanted:
        answer = ask_for_sync(engine, settings, user_id, source="cli", priority="high", limited=True)
        refusal = answer.refusal.reason if answer.refusal else None
        asked.append(AskedUser(user_id, answer.request_id, answer.is_new, refusal))
    return asked


def _refuse_unknown(engine: Engine, users: list[str]) -> None:
    from moonx_pipeline.storage.requests.bulk import similar_users, unknown_users

    with engine.connect() as connection:
        unknown = unknown_users(connection, users)
        near = {user: get_close_matches(user, similar_users(connection, user), n=1) for user in unknown[:_NAMED]}
    if not unknown:
        return
    named = [f"'{user}'" + (f" (did you mean '{near[user][0]}'?)" if near[user] else "") for user in unknown[:_NAMED]]
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    raise WrongUse(
        f"There is no user {', '.join(named)}{more}: 'moonx user list' shows who there is, "
        "'moonx user add USER ADDRESS' registers one. Nothing was asked."
    )


def _ask_selection(engine: Engine, settings: Settings, selection: str) -> list[AskedUser]:
    from moonx_pipeline.storage.requests.bulk import Selection
    from moonx_pipeline.sync.requests.ask import ask_for_many

    rows = ask_for_many(engine, settings, Selection(selection))
    return [AskedUser(row.user_id, row.request_id, row.is_new) for row in rows if row.request_id is not None]


def _say_what_holds_it_up(engine: Engine, settings: Settings, *, all_started: bool) -> None:
    """Says what delays the requests, to an operator who waits."""
    from moonx_pipeline.storage.monitoring.dagster_daemon import daemon_lives
    from moonx_pipeline.storage.requests.pause import current_pause
    from moonx_pipeline.storage.syncs.workers import list_workers

    with engine.connect() as connection:
        pause = current_pause(connection)
        works = any(worker.alive and worker.takes_runs for worker in list_workers(connection))
    said = []
    if pause:
        said.append(f"{pause.sentence} 'moonx resume' lets them go on.")
    if not works:
        said.append("No worker process lives, so nobody serves it yet: 'make up' starts all, 'moonx worker' one.")
    elif not all_started:
        try:
            if not daemon_lives(settings):
                said.append("Dagster's daemon does not run, so no run is started yet: 'make up' starts all.")
        except OperatorError as problem:
            said.append(str(problem))
    for sentence in said:
        echo(sentence, err=True)
    sys.stderr.flush()


def _exit_code(asked: list[AskedUser]) -> int:
    outcomes = Counter(user.outcome for user in asked)
    if outcomes.keys() & {"failed", "refused", "cancelled"}:
        return EXIT_FAILED
    return EXIT_PARTIAL if outcomes["partial"] else 0
