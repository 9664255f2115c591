"""``moonx``: the operator's command line.

Each command has a module that is imported only when the command is called: Dagster takes seconds to import, and
most commands do not need it.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from contextlib import suppress
from difflib import get_close_matches
from types import FrameType
from typing import Any, NoReturn

import click

from moonx_pipeline import __version__
from moonx_pipeline.cli.project import project_root
from moonx_pipeline.cli.terminal import echo
from moonx_pipeline.errors import EXIT_FAILED, OperatorError, WrongUse

COMMANDS = {
    "backup": ("moonx_pipeline.cli.backup:backup", "Write the embedded database to a file, while it is used."),
    "bench": ("moonx_pipeline.cli.bench:bench", "Measure the core against the simulator."),
    "breaker": ("moonx_pipeline.cli.breaker:breaker", "Close circuit breakers by hand."),
    "config": ("moonx_pipeline.cli.config:config", "Show every setting, or check them."),
    "demo": ("moonx_pipeline.cli.demo:demo", "Sync made-up users through real Dagster runs."),
    "doctor": ("moonx_pipeline.cli.doctor:doctor", "Check every invariant of the stored data."),
    "events": ("moonx_pipeline.cli.events:events", "Read the event stream, or publish kept events again."),
    "explain": ("moonx_pipeline.cli.explain:explain", "Show why a portfolio is worth what it is."),
    "gateway": ("moonx_pipeline.cli.gateway:gateway", "Serve API, page and live connection, until stopped."),
    "migrate": ("moonx_pipeline.cli.migrate:migrate", "Bring the database's schema up to this version."),
    "pause": ("moonx_pipeline.cli.pause:pause", "Start no syncs until 'moonx resume'."),
    "plan": ("moonx_pipeline.cli.plan:plan", "Show what so many users cost a month."),
    "portfolio": ("moonx_pipeline.cli.portfolio:portfolio", "Show a user's portfolio."),
    "relay": ("moonx_pipeline.cli.relay:relay", "Move events from the outbox to Kafka, until stopped."),
    "restore": ("moonx_pipeline.cli.backup:restore", "Bring a backup into an empty embedded database."),
    "resume": ("moonx_pipeline.cli.pause:resume", "End a pause: let syncs be started again."),
    "simulator": ("moonx_pipeline.cli.simulator:simulator", "Serve the data providers' HTTP from a made-up world."),
    "status": ("moonx_pipeline.cli.status:status", "Show health, backlog, breakers and limits."),
    "sync": ("moonx_pipeline.cli.sync:sync", "Ask for syncs, and follow them to their end."),
    "token": ("moonx_pipeline.cli.token:token", "Print a token for development."),
    "up": ("moonx_pipeline.cli.up:up", "Run the whole system on this machine until Ctrl-C."),
    "user": ("moonx_pipeline.cli.user:user", "Register users and their wallets."),
    "webserver": ("moonx_pipeline.cli.webserver:webserver", "Serve Dagster's pages, behind a guard."),
    "worker": ("moonx_pipeline.cli.worker:worker", "Carry Dagster's runs in warm processes."),
}


class LazyGroup(click.Group):
    """A click group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else " 'moonx --help' lists the commands."
            raise click.UsageError(f"There is no command '{args[0]}'.{hint}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="moonx")
def cli() -> None:
    """Keeps crypto portfolios in sync."""


def _end_as_interrupted(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _of_database(problem: Exception) -> str | None:
    """What the database did not do; ``None`` for any other error."""
    if "sqlalchemy" not in sys.modules:  # it is loaded only by commands that use the database
        return None
    from sqlalchemy.exc import DBAPIError

    from moonx_pipeline.storage.connection.causes import meaning_of, why_database_failed

    if why := why_database_failed(problem):
        return f"The database could not be used: {why}."
    if isinstance(problem, DBAPIError):
        return f"The database did not do what was asked: {meaning_of(str(problem.orig))}."
    return None


def main(args: list[str] | None = None) -> NoReturn:
    """Runs a command. An expected failure prints one sentence to stderr and sets its exit code, without a trace."""
    # SIGTERM, and SIGHUP of a terminal that is closed, unwind like Ctrl-C: whatever the command started is stopped
    # with it. A hang-up that is ignored, as by nohup, stays ignored.
    signal.signal(signal.SIGTERM, _end_as_interrupted)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _end_as_interrupted)
    # Dagster's instance and the embedded parts belong to the project, wherever a command is run.
    os.environ.setdefault("DAGSTER_HOME", project_root())
    try:
        if sys.stdout is None:
            raise OperatorError("The standard output is closed, so the answer would be lost. Nothing was done.")
        given = [_text(argument) for argument in (sys.argv[1:] if args is None else args)]
        result: Any = cli.main(args=given, prog_name="moonx", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _end("stopped.", 130)
    except click.ClickException as problem:
        shown = io.StringIO()
        problem.show(file=shown)
        echo(shown.getvalue().rstrip(), err=True)
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        _end(None, EXIT_FAILED)
    except OperatorError as problem:
        _end(str(problem), problem.exit_code)
    except OSError as problem:
        about = f"'{problem.filename}': " if problem.filename else ""
        _end(f"{about}{problem.strerror or problem}.", EXIT_FAILED)
    except Exception as problem:
        sentence = _of_database(problem)
        if sentence is None:
            raise
        _end(sentence, EXIT_FAILED)
    sys.exit(result if isinstance(result, int) else 0)


def _text(argument: str) -> str:
    """An argument as the UTF-8 it was typed in, whatever the locale says."""
    try:
        return os.fsencode(argument).decode()
    except UnicodeError:
        raise WrongUse(f"'{argument}' is not UTF-8. Nothing was done.") from None


def _end(sentence: str | None, exit_code: int) -> NoReturn:
    with suppress(OSError):  # the terminal may be gone
        if sentence:
            echo(f"moonx: {sentence}", err=True)
    try:
        sys.stdout.flush()
    except (OSError, AttributeError):
        # What can't be written is still in the buffer, and would fail once more at the interpreter's end.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(exit_code)
