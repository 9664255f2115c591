"""What readers and clickers wait for while an operator asks for the syncs of ten thousand people."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import jwt
import requests

from moonx_pipeline.bench.crowd import Crowd
from moonx_pipeline.bench.figures import Add
from moonx_pipeline.bench.http_clients import Told, clients, request_of
from moonx_pipeline.bench.setting import await_gateway
from moonx_pipeline.bench.workers import whole_system
from moonx_pipeline.simulator.server import free_port
from moonx_pipeline.sync.sweep import Sweep, SweepSpec

_PEOPLE: Final = 10_000
_AT_ONCE: Final = 5_000
_READERS: Final = 200
_CLICKERS: Final = 100
_WARM_SECONDS: Final = 8.0
_QUIET_SECONDS: Final = 15.0
_BULK_SECONDS: Final = 35.0
_LONGEST_CLICK: Final = 120.0
"""Seconds until the last click has to be served."""


def during_bulk(add: Add, many: Crowd) -> None:
    """200 people read twice a second and one clicks each second: alone, and while all are asked for in bulk."""
    many.grow_to(_READERS + _CLICKERS)
    Sweep(many.runtime, SweepSpec(many.settings.periodic.batch_size)).run()
    many.grow_to(_PEOPLE)
    secret, port = secrets.token_urlsafe(48), free_port()
    tokens = [_token(f"user{number}", secret) for number in range(1, _READERS + _CLICKERS + 1)]
    settings = {"GATEWAY_PORT": str(port), "JWT_SECRET": secret, "GATEWAY_USER_MAX_REQUESTS": "100000"}
    with whole_system(**settings), clients(port, tokens[:_READERS], tokens[_READERS:]) as people:
        await_gateway(port)
        people.start(_WARM_SECONDS)
        people.answers()
        people.start(_QUIET_SECONDS)
        _report(add, many, people.answers(), "quiet")
        people.start(_BULK_SECONDS)
        add("bulk_accepted_ms", _ask_for_all(port, _token("operator", secret, role="admin")) * 1000, "ms", "")
        _report(add, many, people.answers(), "bulk", reads="<= 1000", clicks="<= 2000")


def _token(user_id: str, secret: str, **claims: str) -> str:
    return jwt.encode({"sub": user_id, "exp": datetime.now(UTC) + timedelta(hours=1), **claims}, secret)


def _ask_for_all(port: int, token: str) -> float:
    """Asks for everybody's syncs, in two calls; returns the seconds until both are accepted."""
    began = time.monotonic()
    for first in range(1, _PEOPLE + 1, _AT_ONCE):
        body = {"userIds": [f"user{number}" for number in range(first, first + _AT_ONCE)]}
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{port}/api/v1/sync/bulk"
        requests.post(url, json=body, headers=headers, timeout=120).raise_for_status()
    return time.monotonic() - began


def _report(add: Add, many: Crowd, told: Sequence[Told], when: str, *, reads: str = "", clicks: str = "") -> None:
    waits = [one.seconds * 1000 for one in told if one.kind == "read"]
    made = [one for one in told if one.kind == "click"]
    add(f"{when}_reads_per_second", len(waits) / (max(one.at for one in told) - min(one.at for one in told)), "1/s", "")
    add(f"{when}_read_p50_ms", statistics.median(waits), "ms", "")
    add(f"{when}_read_p99_ms", statistics.quantiles(waits, n=100)[98], "ms", reads)
    add(f"{when}_click_accepted_slowest_ms", max(click.seconds for click in made) * 1000, "ms", clicks)
    add(f"{when}_click_stored_slowest_ms", max(_stored(many, made)) * 1000, "ms", "")


def _stored(many: Crowd, made: Sequence[Told]) -> list[float]:
    """Seconds from each click until its sync was stored."""
    end = time.monotonic() + _LONGEST_CLICK
    wanted = {request_of(click): click.at for click in made}
    while time.monotonic() < end:
        with many.engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT id::text, extract(epoch FROM completed_at) FROM sync_requests "
                "WHERE id = ANY(%s::uuid[]) AND status = 'done'",
                (list(wanted),),
            ).all()
        if len(rows) == len(wanted):
            return [float(at) - wanted[request] for request, at in rows]
        time.sleep(0.5)
    raise RuntimeError(f"Of {len(wanted)} clicks of the benchmark {len(rows)} were served.")
