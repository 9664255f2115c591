"""The whole system with a proxy for each link: servers, the product's processes, and the simulated providers."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
from sqlalchemy import Engine, create_engine, make_url

from moonx_pipeline.domain.event_types import TOPIC_NAMES
from moonx_pipeline.simulator.server import RunningSimulator, free_port, provider_settings, running_simulator
from moonx_pipeline.storage.connection.embedded import embedded_url, release
from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline_tests.chaos.parts import Part, Supervisor, processes_of, send
from moonx_pipeline_tests.fixtures.dagster import ROOT, eventually
from moonx_pipeline_tests.fixtures.database import running_postgres
from moonx_pipeline_tests.fixtures.gateway import gateway_environment
from moonx_pipeline_tests.fixtures.kafka import PASSWORD, KafkaBroker, Links, running_cluster
from moonx_pipeline_tests.fixtures.redis import RedisServer, running_redis
from moonx_pipeline_tests.fixtures.simulator import UNLIMITED
from moonx_pipeline_tests.support.database_proxy import database_socket, url_through
from moonx_pipeline_tests.support.links import Link

DATABASE: Final = "chaos"
ALCHEMY_CALLS_A_MINUTE: Final = 300
"""So few that a burst of requests meets the limit, and usual load does not."""

CHAINS: Final = ("ethereum", "polygon", "optimism", "arbitrum", "base")
_START_SECONDS: Final = 300

_SETTINGS: Final = {
    **UNLIMITED,
    "ALCHEMY_RATE_LIMIT_RPM": str(ALCHEMY_CALLS_A_MINUTE),
    "ALCHEMY_TIMEOUT": "4000",
    "ALCHEMY_RETRY_DELAY": "200",
    "BINANCE_TIMEOUT": "3000",
    "COINGECKO_TIMEOUT": "3000",
    "DEFILLAMA_TIMEOUT": "3000",
    "DEXSCREENER_TIMEOUT": "3000",
    "WORKER_TIMEOUT": "20000",
    "WORKER_RETRY_DELAY": "500",
    "WORKER_CONCURRENCY": "2",
    "WORKER_RATE_LIMIT_MAX": "100000",
    "WORKER_CIRCUIT_BREAKER_TIMEOUT": "5000",
    "PERIODIC_SYNC_ENABLED": "false",
}
"""Waits short enough that what hangs ends within a round; deadlines of our own are the defaults."""

KAFKA_USER: Final = "moonx"
_KAFKA_LOGIN: Final = {
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": KAFKA_USER,
    "KAFKA_SASL_PASSWORD": PASSWORD,
}


class Postgres:
    """The database's server, which can be frozen, restarted and killed."""

    def __init__(self, engine: Engine) -> None:
        with engine.connect() as connection:
            self.folder = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one())

    @property
    def owner(self) -> int:
        """The user id that the server runs as."""
        return self.folder.stat().st_uid

    def processes(self) -> list[psutil.Process]:
        return processes_of(int((self.folder / "postmaster.pid").read_text().split()[0]))

    def freeze(self) -> None:
        send(self.processes(), signal.SIGSTOP)

    def thaw(self) -> None:
        send(self.processes(), signal.SIGCONT)

    def kill(self) -> None:
        """The end of the server and all its sessions at once."""
        with suppress(OSError):
            processes = self.processes()
            send(processes, signal.SIGKILL)
            psutil.wait_procs(processes, timeout=10)

    def restart(self) -> None:
        """Stops it in order if it runs, and starts it with its data."""
        release(self.folder.parent)
        embedded_url(self.folder.parent)


class Rig:
    """A running system whose every server, process and link can be made to fail.

    Attributes:
        engine: The database, straight.
        url: Its URL, straight.
        links: A proxy by the two parts that it connects, such as ``worker-database``.
        kafka: The first of the brokers.
        brokers: All of them; the links of Kafka lead to the first.
        parts: The product's processes by name.
        second_daemon: Dagster's daemon once more, which does not run.
    """

    def __init__(
        self,
        *,
        folder: Path,
        url: str,
        links: Mapping[str, Link],
        brokers: Sequence[KafkaBroker],
        listeners: Sequence[Links],
        redis: RedisServer,
        simulator: RunningSimulator,
        webserver_port: int,
    ) -> None:
        """Starts nothing yet; the folder is for logs and state."""
        self.folder, self.url, self.links = folder, url, links
        self.brokers, self.kafka, self._listeners = brokers, brokers[0], listeners
        self.redis, self.simulator = redis, simulator
        self.engine = open_engine(url)
        self.postgres = Postgres(self.engine)
        self.gateways = {name: free_port() for name in ("gateway1", "gateway2")}
        self.parts = self._parts(webserver_port)
        self.gateway_links = {name: Link(("127.0.0.1", port)) for name, port in self.gateways.items()}
        self.links = {**links, **{f"clients-{name}": link for name, link in self.gateway_links.items()}}

    # Processes

    def _environment(self, part: str, **more: str) -> dict[str, str]:
        """The environment of a part behind its links."""
        role = {"relay": "moonx_relay", "gateway": "moonx_gateway"}.get(part, "moonx_worker")
        database = url_through(self.links[f"{part}-database"], self.url).set(username=role)
        kafka = [f"127.0.0.1:{one[part.upper()][1]}" for one in self._listeners if part.upper() in one]
        redis = self.links.get(f"{part}-redis")
        return {
            # Of a gateway's environment all parts need this: nothing of the machine's own settings.
            **gateway_environment(self.url, self.folder),
            **provider_settings(f"http://127.0.0.1:{self.links['worker-providers'].port}"),
            **_SETTINGS,
            "CHAINS": ",".join(CHAINS),
            "DATABASE_URL": database.render_as_string(hide_password=False),
            "DAGSTER_HOME": str(ROOT),
            "DAGSTER_GRAPHQL_URL": f"http://127.0.0.1:{self.links['gateway-dagster'].port}/graphql",
            **({"KAFKA_BROKERS": ",".join(kafka), **_KAFKA_LOGIN} if kafka else {}),
            **({"CELERY_BROKER_URL": f"redis://127.0.0.1:{redis.port}/0"} if redis else {}),
            **more,
        }

    def _parts(self, webserver_port: int) -> dict[str, Part]:
        code_port, workspace = free_port(), self.folder / "workspace.yaml"
        workspace.write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {code_port}, location_name: moonx}}\n"
        )
        where = ("-h", "127.0.0.1", "-p")
        code = ("dagster", "code-server", "start", "-m", "moonx_pipeline.definitions", *where, str(code_port))
        dagster = self._environment("dagster")
        daemon = ("dagster._daemon", "run", "-w", str(workspace))
        self.second_daemon = Part("daemon2", daemon, dagster, self.folder)
        parts = [
            Part("code", code, dagster, self.folder),
            Part(
                "webserver",
                ("moonx_pipeline", "webserver", *where, str(webserver_port), "-w", str(workspace)),
                dagster,
                self.folder,
            ),
            Part("daemon", daemon, dagster, self.folder),
        ]
        for name in ("worker1", "worker2"):
            port = free_port()
            environment = self._environment("worker", METRICS_PORT=str(port))
            health = f"http://127.0.0.1:{port}/health/ready"
            parts.append(Part(name, ("moonx_pipeline", "worker"), environment, self.folder, health=health))
        port = free_port()
        environment = self._environment("relay", RELAY_METRICS_PORT=str(port))
        health = f"http://127.0.0.1:{port}/health/ready"
        parts.append(Part("relay", ("moonx_pipeline", "relay"), environment, self.folder, health=health))
        for name, port in self.gateways.items():
            environment = self._environment("gateway", GATEWAY_PORT=str(port))
            health = f"http://127.0.0.1:{port}/health/ready"
            parts.append(Part(name, ("moonx_pipeline", "gateway"), environment, self.folder, health=health))
        return {part.name: part for part in parts}

    def start(self) -> None:
        """Starts all parts, and waits until all are healthy."""
        self.parts["code"].start()
        for name, part in self.parts.items():
            if name != "code":
                part.start()
        eventually(self.assert_healthy, seconds=_START_SECONDS, pause=0.5)

    def stop(self) -> None:
        for link in self.links.values():
            link.close()
        for part in (self.second_daemon, *reversed(self.parts.values())):
            part.kill()
        self.engine.dispose()

    # Health

    def unhealthy(self) -> dict[str, str]:
        """The parts that are not healthy by what they say themselves, with their reason."""
        found = {name: part.why_unhealthy() for name, part in self.parts.items()}
        return {name: why for name, why in found.items() if why is not None}

    def assert_healthy(self) -> None:
        unhealthy = self.unhealthy()
        assert not unhealthy, unhealthy

    # The database, straight

    @property
    def bootstrap(self) -> str:
        """Where all of Kafka's brokers are reached straight."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.exec_driver_sql(sql, parameters))

    def register(self, user: str, *wallets: str) -> None:
        with self.engine.begin() as connection:
            add_wallets(connection, user, wallets)

    def gateway_url(self, name: str) -> str:
        """Where clients reach a gateway, by its link."""
        return f"http://127.0.0.1:{self.gateway_links[name].port}"


@contextmanager
def running_rig(folder: Path | None = None, *, brokers: int = 1) -> Iterator[Rig]:
    """A rig that runs with so many of Kafka's brokers, until the block ends; ``folder`` keeps its logs."""
    with ExitStack() as stack:
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="moonx-chaos-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(temporary))
        folder.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(running_postgres())
        redis = stack.enter_context(running_redis())
        simulator = stack.enter_context(running_simulator())
        webserver_port = free_port()
        kafka_ports = {part: free_port() for part in ("relay", "gateway", "worker")}
        links = {
            **{f"{part}-database": Link(database_socket(server)) for part in ("worker", "relay", "gateway", "dagster")},
            **{f"{part}-redis": Link(("127.0.0.1", redis.port)) for part in ("worker", "dagster")},
            **{f"{part}-kafka": Link(("127.0.0.1", port)) for part, port in kafka_ports.items()},
            "worker-providers": Link(("127.0.0.1", int(simulator.base_url.rsplit(":", 1)[1]))),
            "gateway-dagster": Link(("127.0.0.1", webserver_port)),
        }
        listeners = [{part.upper(): (port, links[f"{part}-kafka"].port) for part, port in kafka_ports.items()}]
        listeners += [{name: (port := free_port(), port) for name in listeners[0]} for _ in range(1, brokers)]
        cluster = stack.enter_context(running_cluster(*listeners))
        cluster[0].create_topics(TOPIC_NAMES)
        cluster[0].set_scram_user(KAFKA_USER, PASSWORD)
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {DATABASE} TEMPLATE template_moonx STRATEGY FILE_COPY")
        admin.dispose()
        url = make_url(server).set(database=DATABASE).render_as_string(hide_password=False)
        rig = Rig(
            folder=folder,
            url=url,
            links=links,
            brokers=cluster,
            listeners=listeners,
            redis=redis,
            simulator=simulator,
            webserver_port=webserver_port,
        )
        stack.callback(rig.stop)
        rig.start()
        supervisor = Supervisor(list(rig.parts.values()))
        stack.callback(supervisor.stop)
        yield rig
