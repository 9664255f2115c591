"""The output of ``moonx sync``: the users asked for, progress and outcome."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from moonx_pipeline.cli.terminal import echo, open_console
from moonx_pipeline.domain.money import plain
from moonx_pipeline.domain.show import usd
from moonx_pipeline.errors import OperatorError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from moonx_pipeline.storage.requests.states import RequestState

_NOBODY = {"all": "No user is registered", "stale": "No user is stale", "failed": "No user's last sync failed"}
_THEY_STAY = "The requests stay, and are served"
_ORDER = ("completed", "partial", "failed", "refused", "cancelled")


@dataclass(slots=True)
class AskedUser:
    """A user whose sync was asked for, and its outcome."""

    user_id: str
    request_id: UUID | None
    is_new: bool
    refusal: str | None = None
    state: RequestState | None = None

    @property
    def outcome(self) -> str | None:
        if self.refusal is not None:
            return "refused"
        return self.state.outcome if self.state else None


def print_asked(asked: Sequence[AskedUser], selection: str | None) -> None:
    """Prints a selection's size, or each named user."""
    if selection is not None and not asked:
        echo(f"{_NOBODY[selection]}: nothing was asked. 'moonx user list' shows who there is.")
    elif selection is not None:
        new = sum(user.is_new for user in asked)
        waited = f"; for {len(asked) - new:,} one waits already" if new < len(asked) else ""
        echo(f"Asked for {new:,} sync{'s' * (new != 1)} at low priority{waited}.")
    for user in asked if selection is None else ():
        if user.refusal is not None:
            echo(user.refusal, err=True)
        else:
            echo(f"{user.user_id}: {'asked' if user.is_new else 'waits already'}, request {user.request_id}")


def follow_to_end(engine: Engine, asked: Sequence[AskedUser], *, quiet: bool) -> None:
    """Follows requests until all have ended: a bar on a terminal, else a line a change."""
    import psycopg2
    from sqlalchemy.exc import DBAPIError

    from moonx_pipeline.sync.requests.watch import follow

    by_request = {user.request_id: user for user in asked if user.request_id is not None}
    began = time.monotonic()
    try:
        with _Display(len(by_request), quiet=quiet) as display:
            for changed in follow(engine, list(by_request)):
                for state in changed:
                    by_request[state.request_id].state = state
                    display.show(state)
    except KeyboardInterrupt:
        echo(f"{_THEY_STAY}: 'moonx status' shows what waits.", err=True)
        raise
    except (DBAPIError, psycopg2.Error) as problem:
        # Waiting for notifications raises the driver's own error, without ``orig``.
        why = str(getattr(problem, "orig", problem)).splitlines()[0]
        raise OperatorError(
            f"The database broke the connection, so the syncs can't be followed any more ({why}). "
            f"{_THEY_STAY}: 'moonx status' shows what waits."
        ) from None
    if not quiet:
        echo(f"{_summary(asked)} in {time.monotonic() - began:.1f} s.")


class _Display:
    """Shows progress on stderr: a bar on a terminal, else lines."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._quiet = quiet
        self._begun: set[UUID] = set()
        self._outcomes: Counter[str] = Counter()
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=open_console(err=True))
            self._task = self._bar.add_task("waiting", total=total)

    def __enter__(self) -> _Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, state: RequestState) -> None:
        if state.outcome is not None:
            self._outcomes[state.outcome] += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=int(state.has_ended), description=_counts(self._outcomes) or "running")
            if state.outcome not in (None, "completed"):
                self._bar.console.print(_line(state))
        elif not self._quiet and (state.status != "pending" or state.request_id in self._begun):
            echo(_line(state))
        if state.status == "claimed":
            self._begun.add(state.request_id)


def _line(state: RequestState) -> str:
    if state.outcome is None:
        return f"{state.user_id}: {'running' if state.status == 'claimed' else 'lost with its worker, waits again'}"
    seconds = f" in {state.duration_ms / 1000:.2f} s" if state.duration_ms is not None else ""
    total = f", {usd(state.total_value_usd)}" if state.total_value_usd is not None else ""
    why = f". {state.message}" if state.message and state.outcome != "completed" else ""
    return f"{state.user_id}: {state.outcome}{seconds}{total}{why}"


def _counts(outcomes: Counter[str]) -> str:
    return ", ".join(f"{outcomes[name]:,} {name}" for name in _ORDER if outcomes[name])


def _summary(asked: Sequence[AskedUser]) -> str:
    return _counts(Counter(user.outcome for user in asked if user.outcome is not None)) or "Nothing to do"


def report(asked: Sequence[AskedUser]) -> dict[str, Any]:
    """The outcome as JSON."""
    return {
        "requests": [_entry(user) for user in asked],
        "outcomes": dict(Counter(user.outcome or "pending" for user in asked)),
    }


def _entry(user: AskedUser) -> dict[str, Any]:
    state = user.state
    waiting = "refused" if user.refusal is not None else "pending"
    total = state.total_value_usd if state else None
    return {
        "userId": user.user_id,
        "requestId": str(user.request_id) if user.request_id else None,
        "status": state.status if state else waiting,
        "operationId": str(state.operation_id) if state and state.operation_id else None,
        "outcome": user.outcome,
        "message": user.refusal or (state.message if state else None),
        "totalValueUsd": None if total is None else plain(total),
    }
