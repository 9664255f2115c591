"""``moonx status``: shows every part's health, what waits, what runs, and what is blocked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from moonx_pipeline.cli.terminal import echo, open_console, print_rows
from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.show import visible
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS = 2.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(as_json: bool) -> None:
    """Show health, backlog, running syncs, breakers, rate limit blocks and outbox lag."""
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.monitoring.overview import read_overview
    from moonx_pipeline.storage.syncs.webhooks import Webhooks, webhook_networks
    from moonx_pipeline.views.overview import overview_json
    from moonx_pipeline.views.webhooks import webhooks_json

    settings = load_settings()
    engine = ready_engine(settings)
    started = time.monotonic()
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql("SELECT 1")
        latency = round((time.monotonic() - started) * 1000, 1)
        overview = overview_json(read_overview(connection, has_broker=bool(settings.kafka.brokers)))
        webhooks = webhooks_json(Webhooks.of(settings), webhook_networks(connection), utc_now())
    parts = {"database": {"ok": True, "latencyMs": latency}, **_parts(settings)}
    if as_json:
        echo(json.dumps({"parts": parts, **overview, "webhooks": webhooks}, indent=2))
    else:
        _print(parts, overview, webhooks)


def _parts(settings: Settings) -> dict[str, dict[str, Any]]:
    """The parts other than the database, as far as they are configured or run on this machine."""
    parts = {f"kafka {broker}": _kafka(settings, broker) for broker in settings.kafka.brokers}
    if settings.broker.url is not None:
        parts["broker"] = _broker(settings)
    parts["webserver"] = _reach("127.0.0.1", settings.service.webserver_port)
    parts["gateway"] = _reach("127.0.0.1", settings.gateway.port)
    return {**parts, "daemon": _daemon(settings)}


# A port that listens says nothing of the password, so the brokers are asked for more.


def _kafka(settings: Settings, broker: str) -> dict[str, Any]:
    from moonx_pipeline.events.brokers import why_refused

    return _asked(lambda: why_refused(broker, settings.kafka, _SECONDS))


def _broker(settings: Settings) -> dict[str, Any]:
    from moonx_pipeline.broker import ping

    return _asked(lambda: ping(settings))


def _asked(why_not: Callable[[], str | None]) -> dict[str, Any]:
    started = time.monotonic()
    problem = why_not()
    if problem is None:
        return {"ok": True, "latencyMs": round((time.monotonic() - started) * 1000, 1)}
    return {"ok": False, "error": problem}


def _daemon(settings: Settings) -> dict[str, Any]:
    from moonx_pipeline.storage.monitoring.dagster_daemon import daemon_lives

    def why_not() -> str | None:
        try:
            lives = daemon_lives(settings)
        except OperatorError as problem:
            return str(problem)
        return None if lives else "it does not beat: no schedule, sensor or backfill goes on ('make up' starts it)"

    return _asked(why_not)


def _reach(host: str, port: int) -> dict[str, Any]:
    started = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout=_SECONDS):
            return {"ok": True, "latencyMs": round((time.monotonic() - started) * 1000, 1)}
    except OSError as problem:
        return {"ok": False, "error": f"{host}:{port} can't be reached: {problem.strerror or problem}"}


def _print(parts: dict[str, dict[str, Any]], overview: dict[str, Any], webhooks: list[dict[str, Any]]) -> None:
    console = open_console(piped_width=200)
    for name, part in parts.items():
        console.print(f"{name:<14} " + (f"answers in {part['latencyMs']} ms" if part["ok"] else visible(part["error"])))
    if pause := overview["pause"]:
        console.print(
            f"{'PAUSED':<14} since {pause['since']} by {visible(pause['by'])}: {visible(pause['reason'])} "
            "('moonx resume' ends it)"
        )
    users, requests, outbox = overview["users"], overview["requests"], overview["outbox"]
    console.print(f"{'users':<14} {users['registered']:,}, {_waiting(users['due'], users['longestDueSeconds'], 'due')}")
    console.print(f"{'requests':<14} {_waiting(requests['pending'], requests['oldestSeconds'], 'pending')}")
    console.print(f"{'outbox':<14} {_waiting(outbox['unpublished'], outbox['oldestSeconds'], 'unpublished')}")
    console.print(f"{'running syncs':<14} {len(overview['running']):,}")
    alive = sum(worker["alive"] for worker in overview["workers"])
    dead = len(overview["workers"]) - alive
    console.print(
        f"{'workers':<14} {alive} alive"
        + (f", {dead} dead: the next process that starts closes their syncs" * (dead > 0))
    )
    if webhooks:
        console.print(f"{'webhooks':<14} {_webhooks(webhooks)}")
    _print_shut_off(console, overview)


def _webhooks(webhooks: list[dict[str, Any]]) -> str:
    """Which networks' webhooks are alive, and which are silent."""
    words = []
    for webhook in webhooks:
        last = f"no delivery since {webhook['lastDeliveryAt']}" if webhook["lastDeliveryAt"] else "no delivery yet"
        words.append(f"{webhook['name']} " + ("alive" if webhook["alive"] else f"silent, so it is read ({last})"))
    return "; ".join(words)


def _waiting(count: int, seconds: float, word: str) -> str:
    return f"{count:,} {word}" + (f", the oldest for {seconds:,.0f} s" if count else "")


def _print_shut_off(console: Console, overview: dict[str, Any]) -> None:
    """Prints breakers that are not closed or count failures, and blocks."""
    counting = [b for b in overview["breakers"] if b["state"] != "closed" or b["failureCount"]]
    if counting:
        headings = ("breaker", "state", "since", "next probe", "why", "last error")
        print_rows(console, headings, map(_breaker_row, counting))
    if overview["blocks"]:
        print_rows(
            console,
            ("rate limit", "blocked since", "until", "why"),
            [(b["key"], b["since"], b["until"], b["reason"]) for b in overview["blocks"]],
        )
    if not counting and not overview["blocks"]:
        console.print(f"{'breakers':<14} all closed; no rate limit is blocked")


def _breaker_row(b: dict[str, Any]) -> tuple[str, ...]:
    failures = f"{b['failureCount']} failures in a row"
    why = failures if b["cause"] in (None, "failures") else b["cause"].replace("_", " ")
    return (
        b["key"],
        b["state"].replace("_", "-"),
        b["since"] or "",
        b["retryAt"] or "",
        why,
        b["lastError"] or "",
    )
