"""``moonx up``: runs every process of the system on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import click
from sqlalchemy import Engine

from moonx_pipeline.cli.up_announcement import DEMO_USER, announce, graphql_url
from moonx_pipeline.cli.up_processes import described, end, left_over, start_watch
from moonx_pipeline.domain.show import visible
from moonx_pipeline.errors import OperatorError
from moonx_pipeline.settings import Settings, load_settings
from moonx_pipeline.settings.rules import has_source

_DRAIN_MS = 4000
"""How long the worker may finish its runs; it hands back the rest. Ctrl-C takes ten seconds at most."""


@click.command()
@click.option("--replace", is_flag=True, help="End what an earlier 'moonx up' of this folder has left running.")
def up(replace: bool) -> None:
    """Run the system until Ctrl-C: database, simulator unless a source is set, Dagster, worker, relay, gateway."""
    from honcho.manager import Manager

    from moonx_pipeline.cli.up_lines import LinePrinter
    from moonx_pipeline.storage.connection.engine import ready_engine

    settings = load_settings()
    _end_earlier(settings.home, replace=replace)
    _refuse_taken_ports(settings)
    web = settings.service.webserver_port
    drain_ms = min(settings.worker.shutdown_timeout_ms, _DRAIN_MS)
    environment = {
        **os.environ,
        "LOG_FORMAT": "json",  # this process makes the lines readable
        "CLUSTER_SHUTDOWN_TIMEOUT": str(drain_ms),
        "DAGSTER_GRAPHQL_URL": settings.service.graphql_url or graphql_url(web),
    }
    manager = Manager(LinePrinter(on_lost=_terminate_self))
    if not has_source(settings):
        from moonx_pipeline.simulator.server import provider_settings

        port = settings.service.simulator_port
        environment |= provider_settings(f"http://127.0.0.1:{port}")
        manager.add_process("simulator", _command("-m moonx_pipeline simulator"), env=environment)
    engine = ready_engine(settings)  # this process keeps the embedded database for all others
    if not has_source(settings):
        _register_demo_user(engine)
    workspace, code_port = _workspace(settings.home)
    manager.add_process(
        "code",
        _command(
            f"-m dagster code-server start -m moonx_pipeline.definitions -h 127.0.0.1 -p {code_port} --log-format json"
        ),
        env=environment,
    )
    # The others start once the code server listens: before, they would only log errors.
    after_code = f"{sys.executable} -m moonx_pipeline.cli.await_port {code_port} && "
    for name, command in (
        ("web", f"-m moonx_pipeline webserver -h 127.0.0.1 -p {web} -w {workspace} --log-format json"),
        # At its default level it logs every tick of every sensor.
        ("daemon", f"-m dagster._daemon run -w {workspace} --log-format json --log-level warning"),
    ):
        manager.add_process(name, after_code + _command(command), env=environment)
    manager.add_process("worker", _command("-m moonx_pipeline worker"), env=environment)
    if settings.kafka.brokers:
        manager.add_process("relay", _command("-m moonx_pipeline relay"), env=environment)
    manager.add_process("gateway", _command("-m moonx_pipeline gateway"), env=environment)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: _terminate_self())  # honcho stops its processes on SIGTERM
    start_watch(settings.home)
    threading.Thread(target=announce, args=(settings, engine), daemon=True).start()
    manager.loop()
    # A process that ends by itself fails the whole; Ctrl-C (130) and being asked to end (143) do not.
    failed = manager.returncode not in (None, 0, 130, 143, -2, -15)
    if failed:
        raise OperatorError("A process of the system ended by itself: its last lines above say why.")


def _terminate_self() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _end_earlier(home: Path, *, replace: bool) -> None:
    """Ends what an earlier run of this home has left, if the operator agrees."""
    found = left_over(home)
    if not found:
        return
    what = f"An earlier 'moonx up' of '{home}' still runs: {', '.join(map(described, found))}."
    if not replace and sys.stdin.isatty():
        replace = click.confirm(visible(f"{what} End it?"), err=True)
    if not replace:
        raise OperatorError(f"{what} 'moonx up --replace' ends it first.")
    end(found)


def _command(arguments: str) -> str:
    return f"exec {sys.executable} {arguments}"


def _workspace(home: Path) -> tuple[Path, int]:
    """Writes the workspace file of the one code server; returns it and the server's port."""
    from moonx_pipeline.simulator.server import free_port

    home.mkdir(parents=True, exist_ok=True)
    port, file = free_port(), home / "workspace.yaml"
    file.write_text(
        f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {port}\n      location_name: moonx\n"
    )
    return file, port


def _refuse_taken_ports(settings: Settings) -> None:
    ports = {"WEBSERVER_PORT": settings.service.webserver_port, "GATEWAY_PORT": settings.gateway.port}
    if not has_source(settings):
        ports["SIMULATOR_PORT"] = settings.service.simulator_port
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise OperatorError(f"Port {port} is taken: set {name} to a free one.") from None


def _register_demo_user(engine: Engine) -> None:
    """Registers a user with holdings in the simulated world, so that the page has something to show."""
    from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
    from moonx_pipeline.storage.portfolios.users import add_wallets, wallets_of

    with engine.begin() as connection:
        if not wallets_of(connection, DEMO_USER):
            add_wallets(connection, DEMO_USER, (PLAIN_WALLET, POLYGON_WALLET))
