"""A round: users act, a fault begins and ends, the system heals, and the invariants are checked."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from moonx_pipeline_tests.chaos.faults import Fault
from moonx_pipeline_tests.chaos.invariants import INVARIANTS
from moonx_pipeline_tests.chaos.load import Load
from moonx_pipeline_tests.chaos.reading import Recorder
from moonx_pipeline_tests.chaos.rig import Rig

HEALED_SECONDS: Final = 60.0
"""Within this time all parts are healthy by themselves."""

_SETTLED_SECONDS: Final = 120.0
"""Within this time what users asked meanwhile is done, on a machine that does much else."""

_MAY_END: Final = ("worker1", "worker2")
"""A worker that can take no runs ends, to be started again; where others end, 'moonx up' would end as a whole."""

_BEFORE_SECONDS: Final = 2.0
_STEADY_SECONDS: Final = 2.5
"""Health is kept for a second, so a part is healthy once it says so for longer."""


class Violated(NamedTuple):
    """An invariant and what violates it."""

    invariant: str
    what: tuple[str, ...]


class Round(NamedTuple):
    """How a round went.

    Attributes:
        faults: Their names.
        violated: What was violated and was not after the round before.
        healthy_seconds: From the fault's end until all parts said that they are healthy; ``None`` if they did not.
        settled_seconds: From then until all requests were done and all events were told; ``None`` if they were not.
        ended: Parts that ended by themselves and were started again, with how often.
    """

    faults: tuple[str, ...]
    violated: tuple[Violated, ...]
    healthy_seconds: float | None
    settled_seconds: float | None
    ended: dict[str, int]

    @property
    def is_well(self) -> bool:
        """Whether nothing was violated and all healed."""
        return not self.violated and self.is_healed

    @property
    def is_healed(self) -> bool:
        return self.healthy_seconds is not None and self.settled_seconds is not None


class Chaos:
    """A rig with users, and one round after the other."""

    def __init__(self, rig: Rig, *, seed: int, users: int) -> None:
        self.rig: Rig = rig
        self.load = Load(rig, users, seed)
        self.recorder = Recorder(rig, self.load)
        self._before: set[tuple[str, str]] = set()
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def warm_up(self) -> None:
        """Lets every part do its work once, and takes what they hold then as usual."""
        self.load.start()
        time.sleep(_BEFORE_SECONDS)
        self.load.pause()
        self._settle()
        self.recorder.note_calm()

    def stop(self) -> None:
        self.recorder.stop()
        self.load.stop()

    def run(self, faults: Sequence[Fault]) -> Round:
        """Runs a round with faults at the same time, each for as long as it lasts."""
        ended = {name: part.ended for name, part in self.rig.parts.items()}
        self.load.start()
        time.sleep(_BEFORE_SECONDS)
        self._break(sorted(faults, key=lambda fault: fault.seconds, reverse=True))
        healthy = self._until_healthy()
        unhealthy = {} if healthy is not None else self.rig.unhealthy()
        self.load.pause()
        settled = self._settle()
        ended = {name: part.ended - ended[name] for name, part in self.rig.parts.items() if part.ended > ended[name]}
        return Round(
            tuple(fault.name for fault in faults),
            self._violated(unhealthy, [f"{name} ended" for name in ended if name not in _MAY_END]),
            healthy,
            settled,
            ended,
        )

    def _break(self, faults: Sequence[Fault]) -> None:
        """Begins all faults, the longest first, and ends each after its time."""
        longest, *others = faults
        with longest.begin(self):
            until = time.monotonic() + longest.seconds
            if others:
                self._break(others)
            time.sleep(max(0.0, until - time.monotonic()))

    def _until_healthy(self) -> float | None:
        """How long until all parts are healthy, and stay so for a moment."""
        began, since = time.monotonic(), None
        while (now := time.monotonic()) - began < HEALED_SECONDS + _STEADY_SECONDS:
            if self.rig.unhealthy():
                since = None
            else:
                since = since if since is not None else now
                if time.monotonic() - since >= _STEADY_SECONDS:
                    return since - began
            time.sleep(0.25)
        return None

    def _settle(self) -> float | None:
        """Lets users click until all is done, told and fresh: the time that took, or ``None``."""
        began = time.monotonic()
        waiting = set(self.load.users)
        while time.monotonic() - began < _SETTLED_SECONDS:
            for user in sorted(waiting):
                if self.load.click(user, self._gateway()) is not None:
                    waiting.discard(user)
            if not waiting and self._is_done():
                waiting = self._not_fresh()
                if not waiting:
                    return time.monotonic() - began
            time.sleep(0.3)
        self._not_fresh()
        return None

    def _not_fresh(self) -> set[str]:
        """The users who would click again: their last sync failed, a chain is not fresh, or they get no answer."""
        for user in self.load.users:
            self.load.look(user, self._gateway())
        fresh = {
            viewed.user
            for viewed in self.load.viewed[-len(self.load.users) :]
            if all(chain["status"] == "fresh" for chain in viewed.data["chains"])
        }
        failed = self.rig.rows(
            "SELECT user_id FROM (SELECT DISTINCT ON (user_id) user_id, status FROM sync_operations "
            "ORDER BY user_id, started_at DESC) AS last WHERE status NOT IN ('completed', 'partial')"
        )
        return set(self.load.users) - (fresh - {user for (user,) in failed})

    def _gateway(self) -> str:
        return self._random.choice(list(self.rig.gateways))

    def _is_done(self) -> bool:
        ((count,),) = self.rig.rows(
            "SELECT (SELECT count(*) FROM sync_requests WHERE status IN ('pending', 'claimed')) + "
            "(SELECT count(*) FROM active_sync_operations) + "
            "(SELECT count(*) FROM outbox_events WHERE published_at IS NULL)"
        )
        return count == 0 and not self._behind()

    def _behind(self) -> bool:
        """Whether a page is not there, or does not show the newest version yet."""
        sockets = self.load.sockets
        versions = dict(self.rig.rows("SELECT user_id, portfolio_version FROM user_sync_status"))
        newest: dict[str, int] = {}
        for seen in list(sockets.seen):
            if seen.name == "portfolio_update":
                newest[seen.client] = max(newest.get(seen.client, 0), int(seen.data["version"]))
        return any(
            client not in sockets.connected or newest.get(client, 0) < versions.get(user, 0)
            for client, user in sockets.users.items()
        )

    def _violated(self, unhealthy: dict[str, str], ended: list[str]) -> tuple[Violated, ...]:
        history = self.recorder.history(unhealthy)
        history.left += ended
        now = [(invariant.__name__, what) for invariant in INVARIANTS for what in invariant(history)]
        new = [one for one in now if one not in self._before]
        self._before = set(now)
        return tuple(
            Violated(name, tuple(what for _, what in group)) for name, group in groupby(new, key=lambda one: one[0])
        )
