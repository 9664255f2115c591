"""Which faults are run in which order, and which of them share a round."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from moonx_pipeline_tests.chaos.faults import BOUNDED, BY_NAME, FAULTS, Fault

MOST_IN_A_ROUND: Final = 3
"""More would take as long to look at afterwards, when the round shows a violation, as they save."""

FIRST: Final = (
    *(name for names in BOUNDED for name in names),
    "relay-kafka cut",
    "gateway-kafka forgotten",
    "relay-database forgotten",
    "gateway-database cut",
    "worker child frozen",
    "worker1 killed",
    "worker1 frozen",
    "relay frozen",
    "gateway1 frozen",
    "daemon killed",
    "postgres restarted",
    "postgres frozen",
    "postgres killed",
    "postgres connections exhausted",
    "postgres deadlocks",
    "postgres disk full",
    "postgres failover",
    "postgres migrated",
    "kafka stopped",
    "kafka topic missing",
    "kafka password refused",
    "redis emptied",
    "redis memory full",
    "second daemon",
    "daemon away for an hour",
    "worker clock fast",
    "poison event",
    "poison token",
    "poison user",
    "webhook flood",
    "alchemy hangs",
    "alchemy empty",
    "alchemy polygon silent",
    "worker-redis forgotten",
    "worker-providers cut down",
    "clients-gateway1 forgotten",
    "ten thousand requests",
    "kafka leader killed",
    "kafka leader frozen",
    "kafka restarted in turn",
    "kafka majority killed",
)
"""Those that matter most, in their order."""


def plan(seed: int) -> Iterator[Sequence[Fault]]:
    """What to run: all faults, those that matter most first, then random pairs for ever; the seed gives the order."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    rest = [fault for fault in FAULTS if fault.name not in FIRST]
    chance.shuffle(rest)
    yield from shared([*(BY_NAME[name] for name in FIRST), *rest])
    single = [fault for fault in FAULTS if fault.brokers == 1]
    while True:
        pair = chance.sample(single, 2)
        # Two of one part would undo each other, as a failover and a restart do.
        if len({fault.name.split()[0] for fault in pair}) == 2:
            yield pair


def shared(faults: Iterable[Fault]) -> list[list[Fault]]:
    """Rounds of faults that don't hide each other: each fault is in the first round that it fits into."""
    rounds: list[list[Fault]] = []
    for fault in faults:
        fits = (one for one in rounds if _fits(fault, one))
        if (found := next(fits, None)) is not None:
            found.append(fault)
        else:
            rounds.append([fault])
    return rounds


def _fits(fault: Fault, others: Sequence[Fault]) -> bool:
    return (
        len(others) < MOST_IN_A_ROUND
        and all(fault.touches.isdisjoint(other.touches) for other in others)
        and all(fault.brokers == other.brokers for other in others)
    )


class Queue:
    """The rounds that wait."""

    def __init__(self, rounds: Iterable[Sequence[Fault]]) -> None:
        self._rounds = iter(rounds)
        self._first: deque[Sequence[Fault]] = deque()

    def next(self) -> Sequence[Fault] | None:
        """The faults of the next round, which goes on waiting; ``None`` after the last one."""
        if not self._first and (faults := next(self._rounds, None)) is not None:
            self._first.append(faults)
        return self._first[0] if self._first else None

    def done(self, *, is_well: bool) -> None:
        """Takes out the next round; if all was not well and faults shared it, each is run alone, to say which it is."""
        faults = self._first.popleft()
        if not is_well and len(faults) > 1:
            self._first.extendleft([fault] for fault in reversed(faults))
