"""Reads the history of a rig: from the database, Kafka, the simulator's log, the clients and the processes."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from typing import Any, Final

import psutil
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy.exc import SQLAlchemyError

from moonx_pipeline.domain.event_types import TOPIC_NAMES
from moonx_pipeline.storage.monitoring.invariants import Violation
from moonx_pipeline_tests.chaos.history import Commit, History, OpenBreaker, Operation, Record, Request, Stored
from moonx_pipeline_tests.chaos.load import Load
from moonx_pipeline_tests.chaos.rig import ALCHEMY_CALLS_A_MINUTE, Rig
from moonx_pipeline_tests.support.syncs import violations

POISON: Final = "poison"
"""Keys that begin so are of faults, not of users: what is in Kafka by them need not be committed."""

CROWD: Final = "crowd"
"""Users whose names begin so are many: the world they hold is not kept, so neither is what is stored of them."""

_PARTITIONS: Final = 3
_MORE_THREADS, _MORE_FILES, _MORE_SESSIONS = 60, 60, 25
"""How much more than at the start a part may hold: pools fill, a gateway's of 40 threads the most."""


class Topics:
    """All messages of all topics so far."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._next = {TopicPartition(topic, n): 0 for topic in TOPIC_NAMES for n in range(_PARTITIONS)}
        self.records: list[Record] = []

    def forget(self, topic: str) -> None:
        """Begins a topic anew, which was deleted."""
        for partition in self._next:
            if partition.topic == topic:
                self._next[partition] = 0

    def read(self) -> list[Record]:
        """Reads to the end of each partition."""
        consumer = KafkaConsumer(bootstrap_servers=self._rig.bootstrap, enable_auto_commit=False)
        try:
            consumer.assign(list(self._next))
            for partition, offset in self._next.items():
                consumer.seek(partition, offset)
            ends = consumer.end_offsets(list(self._next))
            deadline = time.monotonic() + 30
            while any(self._next[partition] < end for partition, end in ends.items()):
                assert time.monotonic() < deadline, "The topics could not be read."
                for partition, records in consumer.poll(timeout_ms=500).items():
                    self._next[partition] = records[-1].offset + 1
                    self.records += [_record(one) for one in records if not (one.key or b"").startswith(b"poison")]
        finally:
            consumer.close()
        return self.records


def _record(message: Any) -> Record:
    return Record(message.topic, message.key.decode(), json.loads(message.value)["eventId"])


class Breakers:
    """Looks at the breakers each half second, since the database keeps only what they are now."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.open: list[OpenBreaker] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="breakers", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(0.5):
            with suppress(SQLAlchemyError):
                found = self._rig.rows(
                    "SELECT extract(epoch FROM now())::float8, key, extract(epoch FROM retry_at)::float8 "
                    "FROM circuit_breakers WHERE state = 'open' AND retry_at > now() AND key ~ '^alchemy:[0-9]+$'"
                )
                self.open += [OpenBreaker(at, int(key.split(":")[1]), until) for at, key, until in found]

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


class Recorder:
    """Keeps what only this process knows, and reads the rest when it is asked."""

    def __init__(self, rig: Rig, load: Load) -> None:
        self._rig, self._load = rig, load
        self.topics = Topics(rig)
        self._breakers = Breakers(rig)
        self._calm = self._held()

    def note_calm(self) -> None:
        """Takes what is held now as usual."""
        self._calm = self._held()

    def stop(self) -> None:
        self._breakers.stop()

    def history(self, unhealthy: dict[str, str]) -> History:
        """All that happened so far; ``unhealthy`` are the parts that did not heal in time."""
        rig, load = self._rig, self._load
        commits, records = self._told()
        return History(
            commits=commits,
            records=records,
            seen=list(load.sockets.seen),
            wallets={user: {wallet} for user, wallet in load.users.items()},
            versions=dict(rig.rows("SELECT user_id, portfolio_version FROM user_sync_status")),
            connected={client: load.sockets.users[client] for client in load.sockets.users},
            truth={place: list(changes) for place, changes in load.wallets.truth.items()},
            operations=self._operations(),
            stored=self._stored(),
            viewed=[one for one in load.viewed if one.user in load.users],
            accepted=list(load.accepted),
            requests=self._requests(),
            calls=self._calls(),
            limits={"alchemy": ALCHEMY_CALLS_A_MINUTE},
            breakers=list(self._breakers.open),
            contradictions=[
                f"{one.name}: {'; '.join(one.examples) if isinstance(one, Violation) else one.why}"
                for one in violations(rig.engine)
            ],
            unhealthy=unhealthy,
            left=self._left(),
        )

    def _told(self) -> tuple[list[Commit], list[Record]]:
        """What was committed, and what is in Kafka; both of one moment, at which nothing waits."""
        commits: list[Commit] = []
        while True:
            records = self.topics.read()
            before, commits = commits, self._commits()
            if len(before) == len(commits):
                return commits, records

    def _commits(self) -> list[Commit]:
        found = self._rig.rows(
            "SELECT id::text, topic, key, type, version, payload, error IS NOT NULL FROM outbox_events "
            "WHERE key <> %s ORDER BY seq",
            POISON,
        )
        return [Commit(*row) for row in found]

    def _operations(self) -> dict[str, Operation]:
        found = self._rig.rows(
            "SELECT id::text, user_id, status, request_id::text, extract(epoch FROM started_at)::float8, "
            "extract(epoch FROM completed_at)::float8, chains, error_message FROM sync_operations"
        )
        return {row[0]: _operation(*row) for row in found}

    def _stored(self) -> list[Stored]:
        found = self._rig.rows(
            "SELECT sync_operation_id::text, wallet_address, chain_id, token_address, balance "
            "FROM user_token_holdings_history WHERE user_id NOT LIKE %s ORDER BY created_at",
            f"{CROWD}%",
        )
        return [Stored(operation, (wallet, chain, token), int(held)) for operation, wallet, chain, token, held in found]

    def _requests(self) -> dict[str, Request]:
        found = self._rig.rows(
            "SELECT id::text, status, reason, sync_operation_id::text, served_by::text FROM sync_requests"
        )
        return {row[0]: Request(*row) for row in found}

    def _calls(self) -> dict[str, list[float]]:
        calls: dict[str, list[float]] = {}
        for call in list(self._rig.simulator.simulation.calls):
            calls.setdefault(call.provider, []).append(call.at)
        return calls

    # What is left

    def _held(self) -> dict[str, tuple[int, int, int]]:
        """Processes, threads and open files by part."""
        held = {}
        for name, part in self._rig.parts.items():
            processes = threads = files = 0
            for process in part.processes():
                with suppress(psutil.Error):
                    files += process.num_fds()
                    threads += process.num_threads()
                    processes += 1
            held[name] = (processes, threads, files)
        return held

    def _left(self) -> list[str]:
        left = []
        for name, (processes, threads, files) in self._held().items():
            usual = self._calm[name]
            if processes != usual[0]:
                left.append(f"{name} has {processes} processes, not {usual[0]}")
            if threads > usual[1] + _MORE_THREADS:
                left.append(f"{name} has {threads} threads, was {usual[1]}")
            if files > usual[2] + _MORE_FILES:
                left.append(f"{name} has {files} open files, was {usual[2]}")
        for what, sql in _LEFT.items():
            left += [f"{what}: {row[0]}" for row in self._rig.rows(sql)]
        return left


_LEFT: Final = {
    "a session waits in a transaction": (
        "SELECT application_name || ' for ' || (now() - state_change) || ': ' || query FROM pg_stat_activity "
        "WHERE datname = current_database() AND state LIKE 'idle in transaction%%' "
        "AND state_change < now() - interval '5 s'"
    ),
    "a statement does not end": (
        "SELECT application_name || ' for ' || (now() - query_start) || ': ' || query FROM pg_stat_activity "
        "WHERE datname = current_database() AND state = 'active' AND query_start < now() - interval '20 s'"
    ),
    "there are too many sessions": (
        "SELECT usename || ': ' || count(*) FROM pg_stat_activity WHERE datname = current_database() "
        f"GROUP BY usename HAVING count(*) > {2 * _MORE_SESSIONS}"
    ),
    "a lock waits": (
        "SELECT locktype || ' of ' || pid || ' since ' || waitstart FROM pg_locks "
        "WHERE NOT granted AND waitstart < now() - interval '5 s'"
    ),
    "a sync still runs": "SELECT id || ' of ' || user_id || ' since ' || started_at FROM active_sync_operations",
    "an event waits": (
        "SELECT type || ' of ' || key FROM outbox_events WHERE published_at IS NULL "
        "AND created_at < now() - interval '5 s'"
    ),
}


def _operation(
    operation: str,
    user: str,
    status: str,
    request: str | None,
    began: float,
    ended: float | None,
    chains: list[dict[str, Any]] | None,
    reason: str | None,
) -> Operation:
    found = chains or []
    return Operation(
        operation,
        user,
        status,
        request,
        began,
        ended,
        frozenset((one["walletAddress"], one["chainId"]) for one in found if one["outcome"] == "ok"),
        frozenset(one["chainId"] for one in found if one["outcome"] not in ("ok", "kept")),
        reason,
    )
