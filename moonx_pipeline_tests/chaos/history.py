"""What happened in a rig: plain facts from the providers, the database, Kafka and the clients, for the invariants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Place = tuple[str, int, str]
"""A wallet, a chain id and a token's contract."""


class Commit(NamedTuple):
    """An event in the outbox.

    Attributes:
        id, topic, key, type, version, payload: As in the outbox.
        set_aside: Whether it is kept from Kafka, with a reason.
    """

    id: str
    topic: str
    key: str
    type: str
    version: int
    payload: Mapping[str, Any]
    set_aside: bool = False


class Record(NamedTuple):
    """A message in Kafka."""

    topic: str
    key: str
    id: str


class Seen(NamedTuple):
    """Something that a client was sent.

    Attributes:
        client: The client, which keeps what it knows over its reconnections.
        user: The user that it signed in as.
        name, data: The Socket.IO event.
    """

    client: str
    user: str
    name: str
    data: Mapping[str, Any]


class Change(NamedTuple):
    """A balance that a wallet has from a time on, as Unix time; the first is that of the start."""

    at: float
    balance: int


class Operation(NamedTuple):
    """A sync.

    Attributes:
        id, user, status, request: As stored.
        began, ended: Unix times; ``ended`` is ``None`` while it runs.
        read: The wallets and chains that were read in full.
        failed: The chains that were not read.
        reason: Why it is not ``completed``.
    """

    id: str
    user: str
    status: str
    request: str | None
    began: float
    ended: float | None
    read: frozenset[tuple[str, int]] = frozenset()
    failed: frozenset[int] = frozenset()
    reason: str | None = None


class Stored(NamedTuple):
    """A balance that a sync has stored."""

    operation: str
    place: Place
    balance: int


class Viewed(NamedTuple):
    """A portfolio as the API answered it to a user."""

    user: str
    data: Mapping[str, Any]


class Request(NamedTuple):
    """A stored request."""

    id: str
    status: str
    reason: str | None
    operation: str | None
    served_by: str | None


class OpenBreaker(NamedTuple):
    """A breaker that was seen open: at ``at`` it said that nobody may call before ``until``; Unix times."""

    at: float
    chain: int
    until: float


@dataclass
class History:
    """All that is known of a rig's life so far.

    Attributes:
        commits: The outbox, in the order of its numbers.
        records: The messages of all topics, each partition in its order.
        seen: What clients were sent, each client's in its order.
        wallets: Each user's wallets.
        versions: Each user's version of the portfolio in the end.
        connected: The clients that are connected in the end.
        truth: What wallets held over time.
        operations: All syncs, by id.
        stored: What they stored.
        viewed: What the API answered, in order; the last one of each user is of the end.
        accepted: Ids of the requests that were answered with 202.
        requests: All stored requests, by id.
        calls: Times of the answers by provider, sorted.
        limits: The most calls a minute, by provider.
        breakers: Breakers that were seen open.
        contradictions: What contradicts itself in the database.
        unhealthy: Parts that are not healthy a minute after the fault, with their reason.
        left: Locks, sessions, processes, threads and files that should be gone.
    """

    commits: list[Commit] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    wallets: dict[str, set[str]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    connected: dict[str, str] = field(default_factory=dict)
    truth: dict[Place, list[Change]] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    viewed: list[Viewed] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    calls: dict[str, list[float]] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    breakers: list[OpenBreaker] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    unhealthy: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def balances_between(self, place: Place, begin: float, end: float) -> Iterator[int]:
        """The balances that a wallet had at some moment of a time."""
        changes = self.truth.get(place, [])
        for number, change in enumerate(changes):
            until = changes[number + 1].at if number + 1 < len(changes) else float("inf")
            if change.at <= end and until >= begin:
                yield change.balance

    def last_viewed(self) -> dict[str, Mapping[str, Any]]:
        """The last portfolio of each user that the API answered."""
        return {viewed.user: viewed.data for viewed in self.viewed}
