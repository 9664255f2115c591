"""``moonx``: the operator's command line.

Each command has a module that is imported only when the command is called: Dagster takes seconds to import, and
most commands do not need it.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from difflib import get_close_matches
from types import FrameType
from typing import Any, NoReturn

import click

from moonx_pipeline import __version__
from moonx_pipeline.cli.project import project_root
from moonx_pipeline.errors import EXIT_FAILED, OperatorError

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


def _why_database_failed(problem: Exception) -> str | None:
    if "sqlalchemy" not in sys.modules:
        return None
    from moonx_pipeline.storage.connection.causes import why_database_failed

    return why_database_failed(problem)


def main(args: list[str] | None = None) -> NoReturn:
    """Runs a command. An expected failure prints one sentence to stderr and sets its exit code, without a trace."""
    # SIGTERM unwinds like Ctrl-C, so that whatever the command started is stopped with it.
    signal.signal(signal.SIGTERM, _end_as_interrupted)
    # Dagster's instance and the embedded parts belong to the project, wherever a command is run.
    os.environ.setdefault("DAGSTER_HOME", project_root())
    try:
        result: Any = cli.main(args=args, prog_name="moonx", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("moonx: stopped.", err=True)
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        click.echo("moonx: stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(EXIT_FAILED)
    except OperatorError as problem:
        click.echo(f"moonx: {problem}", err=True)
        sys.exit(problem.exit_code)
    except Exception as problem:
        why = _why_database_failed(problem)
        if why is None:
            raise
        click.echo(f"moonx: The database could not be used: {why}.", err=True)
        sys.exit(EXIT_FAILED)
    sys.exit(result if isinstance(result, int) else 0)
