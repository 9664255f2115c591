"""``moonx demo``: syncs made-up users through real Dagster runs and shows their events."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moonx_pipeline.cli.demo_users import DemoUser, everyday_users, simulated_users
from moonx_pipeline.cli.terminal import open_console

if TYPE_CHECKING:
    import dagster as dg
    from rich.console import Console
    from rich.rule import Rule
    from sqlalchemy import Engine


_ROWS = 8


@dataclass(slots=True)
class Tally:
    """What the demo did."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@click.command()
@click.option(
    "--chain",
    type=click.Choice(["simulator", "anvil"]),
    default="simulator",
    show_default=True,
    help="Where balances come from: simulated providers, or real EVM nodes (anvil, needs npm).",
)
def demo(chain: str) -> None:
    """Sync demo users through real Dagster runs, and show what comes of it."""
    from moonx_pipeline.events.brokers import mute_client

    mute_client()  # the demo shows the outcome, not the libraries' steps
    console = open_console(piped_width=118)
    started_at = time.monotonic()
    with ExitStack() as parts:
        users = parts.enter_context(_sources(console, chain))
        brokers = parts.enter_context(_broker(console))
        engine, instance = parts.enter_context(_pipeline(console, users))
        cursor = _newest(engine)
        tally = Tally()
        for user in users:
            _sync_and_show(console, engine, instance, user, tally)
        events = _show_events(console, engine, cursor, brokers)
        _summary(console, engine, tally, events, time.monotonic() - started_at)


@contextmanager
def _sources(console: Console, chain: str) -> Iterator[list[DemoUser]]:
    """Sets up the sources of balances and prices, and gives the users."""
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.simulator.server import running_simulator

    if chain == "anvil":
        from moonx_pipeline.cli.demo_evm import evm_users

        with running_simulator() as simulator, evm_users(console) as (environment, users):
            prices = {name: url for name, url in simulator.environment().items() if not name.startswith("ALCHEMY")}
            _configure({**prices, **environment, "ALCHEMY_API_KEY": ""})
            yield users
        return
    if load_settings().alchemy.key:
        console.print("Balances come from Alchemy, with your key.")
        yield everyday_users()
        return
    with running_simulator() as simulator:
        _configure(simulator.environment())
        console.print(f"Providers: simulated at {simulator.base_url} (set ALCHEMY_API_KEY for real ones).")
        yield simulated_users(simulator)


def _configure(environment: dict[str, str]) -> None:
    from moonx_pipeline.settings import load_settings

    os.environ.update(environment)
    load_settings.cache_clear()


@contextmanager
def _broker(console: Console) -> Iterator[str]:
    """The Kafka brokers to use: the operator's, an embedded one, or none."""
    from moonx_pipeline.domain.event_types import TOPIC_NAMES
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.simulator.embedded_broker import embedded_broker

    if brokers := load_settings().kafka.brokers:
        console.print(f"Events: Kafka at {', '.join(brokers)}.")
        yield "Kafka"
        return
    with embedded_broker(TOPIC_NAMES) as address:
        if address is None:
            console.print("Events: read from the outbox (no embedded broker for this machine, no KAFKA_BROKERS).")
            yield "the outbox"
            return
        _configure({"KAFKA_BROKERS": address})
        console.print(f"Events: an embedded Kafka-protocol broker at {address} (set KAFKA_BROKERS for yours).")
        yield "the embedded Kafka-protocol broker"
    os.environ.pop("KAFKA_BROKERS")


@contextmanager
def _pipeline(console: Console, users: list[DemoUser]) -> Iterator[tuple[Engine, dg.DagsterInstance]]:
    """The database and Dagster's instance, with the users registered in both."""
    import dagster as dg

    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.connection.engine import ready_engine
    from moonx_pipeline.storage.portfolios.users import add_wallets, wallets_of

    settings = load_settings()
    engine = ready_engine(settings)
    home = settings.home.relative_to(Path.cwd()) if settings.home.is_relative_to(Path.cwd()) else settings.home
    console.print(f"Database: {'yours' if settings.database.url else f'embedded PostgreSQL in {home}'}.")
    with engine.begin() as connection:
        for user in users:
            if wallets_of(connection, user.user_id) != user.wallets:
                add_wallets(connection, user.user_id, user.wallets)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("users", [user.user_id for user in users])
        yield engine, instance


def _sync_and_show(
    console: Console,
    engine: Engine,
    instance: dg.DagsterInstance,
    user: DemoUser,
    tally: Tally,
) -> None:
    from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
    from moonx_pipeline.views.tables import portfolio_table

    console.print()
    console.print(_headline(user.user_id, user.story))
    _sync(console, instance, user, tally)
    if user.meanwhile is not None:
        console.print(user.meanwhile(), style="yellow")
        _sync(console, instance, user, tally)
    with engine.connect() as connection:
        stored = read_portfolio(connection, user.user_id)
    if stored is not None:
        console.print(portfolio_table(stored, most=_ROWS))


def _headline(title: str, more: str = "") -> Rule:
    from rich.rule import Rule
    from rich.text import Text

    return Rule(Text(title, "bold").append(f"  {more}" if more else "", "rule.text"), align="left")


def _sync(console: Console, instance: dg.DagsterInstance, user: DemoUser, tally: Tally) -> None:
    from moonx_pipeline.launch import run_portfolio_sync

    started = time.monotonic()
    with run_portfolio_sync(instance, user.user_id, log_level="CRITICAL") as result:
        seconds = time.monotonic() - started
        materialized = result.asset_materializations_for_node("portfolio.publish_events") if result.success else []
        outcome = str(materialized[0].metadata["status"].value) if materialized else "failed"
        run_id = result.run_id
    tally.outcomes[outcome] += 1
    tally.seconds.append(seconds)
    console.print(f"Dagster run {run_id[:8]}: {outcome} in {seconds:.2f} s", style="green" if materialized else "red")


def _newest(engine: Engine) -> Any:
    from moonx_pipeline.storage.syncs.event_reads import newest

    with engine.connect() as connection:
        return newest(connection)


def _show_events(console: Console, engine: Engine, cursor: Any, source: str) -> Counter[str]:
    """Prints the events of this demo as a consumer received them."""
    from moonx_pipeline.events.stream import event_stream
    from moonx_pipeline.settings import load_settings
    from moonx_pipeline.storage.syncs.event_reads import read_after

    with engine.connect() as connection:
        rows, _ = read_after(connection, cursor, 10_000)
    caused = [str(row.id) for row in rows]
    stream = event_stream(engine, load_settings().kafka, from_beginning=True, until_idle=True)
    received = sorted(
        (event for event in stream if event.value["eventId"] in caused),
        key=lambda event: caused.index(event.value["eventId"]),
    )
    console.print()
    console.print(_headline("Events", f"{len(received)} received by a consumer of {source}"))
    for event in received[-_ROWS:]:
        value = event.value
        total = value["data"].get("totalValueUsd")
        shown = f"  {total:,.2f} USD" if total is not None else ""
        console.print(f"{value['timestamp']}  {value['eventType']:<18} {event.key}  v{value['version']}{shown}")
    missing = set(caused).difference(event.value["eventId"] for event in received)
    if missing:
        console.print(f"{len(missing)} events did not arrive.", style="red")
    return Counter(event.value["eventType"] for event in received)


def _summary(console: Console, engine: Engine, tally: Tally, events: Counter[str], seconds: float) -> None:
    with engine.connect() as connection:
        calls, units = connection.exec_driver_sql(
            "SELECT coalesce(sum(provider_calls), 0), coalesce(sum(compute_units), 0) FROM (SELECT * FROM "
            "sync_operations WHERE user_id LIKE 'demo-%%' ORDER BY started_at DESC LIMIT %s) recent",
            (sum(tally.outcomes.values()),),
        ).one()
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(events.items()))
    console.print()
    console.print(_headline("Summary"))
    console.print(f"{sum(tally.outcomes.values())} syncs ({outcomes}) in {sum(tally.seconds):.1f} s of {seconds:.1f} s")
    console.print(f"{calls} provider calls, {units:,} Alchemy compute units")
    console.print(f"{sum(events.values())} events delivered ({kinds})")
    console.print("\nTry next:", style="bold")
    console.print("  .venv/bin/moonx portfolio demo-plain --json     the same as JSON")
    console.print("  .venv/bin/moonx user add me 0xYOURADDRESS       your own wallet (needs ALCHEMY_API_KEY)")
    console.print("  make up                                         Dagster's pages, with these runs in them")
    if tally.outcomes.keys() - {"completed", "partial"}:
        sys.exit(1)
