"""Each call that can wait for something outside the process has a deadline (docs/decisions/0023)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "moonx_pipeline"
NOT_IN_PRODUCTION = {"bench", "simulator"}

HTTP = {"get", "post", "put", "patch", "delete", "head", "options", "request"}
DEADLINE_BY = {
    **{f"requests.{verb}": ("timeout",) for verb in HTTP},
    **{f"subprocess.{name}": ("timeout",) for name in ("run", "call", "check_call", "check_output")},
    "subprocess.Popen": (),
    "urllib.request.urlopen": ("timeout",),
    "urllib3.PoolManager": ("timeout",),
    "socket.create_connection": ("timeout",),
    # Connecting is bounded by storage/connection/silence.py, for all connections of a process.
    "psycopg2.connect": ("KEEPALIVE",),
    "sqlalchemy.create_engine": ("KEEPALIVE",),
    "redis.Redis": ("socket_timeout",),
    "redis.from_url": ("socket_timeout",),
    "redis.Redis.from_url": ("socket_timeout",),
    "kafka.KafkaProducer": (),
    "kafka.KafkaConsumer": (),
    "kafka.KafkaAdminClient": (),
}
"""By the name of a call, what bounds it: an argument, or a constant within one. Without one, it needs a reason."""

POSITIONAL = {"socket.create_connection": 2, "select.select": 4}
"""How many arguments by position include the deadline."""

ALLOWED = {
    ("storage/connection/embedded.py", "psycopg2.connect"): "the server was started just now, by its Unix socket",
    (
        "storage/connection/silence.py",
        "psycopg2.connect",
    ): "its parameters are those of a connection, deadline included",
    ("storage/upkeep/backup.py", "subprocess.run"): "a backup takes as long as its size, and a person waits for it",
    ("cli/up_processes.py", "subprocess.Popen"): "a watcher that outlives its parent on purpose",
}


def called(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a module by full name, as far as its imports tell; sessions of requests by their variable's name."""
    names: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            yield names.get(first, first) + (f".{rest}" if rest else ""), node


def unbounded(source: str) -> Iterator[tuple[str, int]]:
    """The calls without a deadline: name and line."""
    for name, call in called(ast.parse(source)):
        *before, last = name.split(".")
        if last in HTTP and before and before[-1].endswith("session"):
            bounds: tuple[str, ...] | None = ("timeout",)
        elif name in POSITIONAL and len(call.args) >= POSITIONAL[name]:
            bounds = None
        elif last == "communicate":
            bounds = ("timeout",)
        else:
            bounds = DEADLINE_BY.get(name, ("timeout",) if name in POSITIONAL else None)
        if bounds is not None:
            inside = (node for keyword in call.keywords for node in ast.walk(keyword.value))
            named = {node.id for node in inside if isinstance(node, ast.Name)}
            if not (named | {keyword.arg for keyword in call.keywords}) & set(bounds):
                yield name, call.lineno


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if path.relative_to(PACKAGE).parts[0] not in NOT_IN_PRODUCTION]


def test_every_call_that_can_wait_has_a_deadline_or_a_reason() -> None:
    found = {
        (str(path.relative_to(PACKAGE)), name): line for path in modules() for name, line in unbounded(path.read_text())
    }

    without = {f"{path}:{line} {name}" for (path, name), line in found.items() if (path, name) not in ALLOWED}
    assert without == set()
    assert set(ALLOWED) <= set(found), "a reason for what is not there"


@pytest.mark.parametrize(
    "source",
    [
        "import requests\nrequests.get('x')",
        "import requests as r\nr.post('x', json={})",
        "session.get('x')",
        "self._session.request('GET', 'x')",
        "import subprocess\nsubprocess.run(['x'])",
        "from subprocess import check_output\ncheck_output(['x'])",
        "import socket\nsocket.create_connection(('x', 1))",
        "import psycopg2\npsycopg2.connect(**parameters)",
        "from sqlalchemy import create_engine\ncreate_engine(url)",
        "from redis import Redis\nRedis()",
        "from kafka import KafkaProducer\nKafkaProducer()",
        "from urllib.request import urlopen\nurlopen('x')",
        "import select\nselect.select([x], [], [])",
        "process.communicate()",
    ],
)
def test_a_call_without_a_deadline_is_found(source: str) -> None:
    assert len(list(unbounded(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import requests\nrequests.get('x', timeout=1)",
        "import socket\nsocket.create_connection(('x', 1), 2)",
        "import select\nselect.select([x], [], [], 1)",
        "import psycopg2\npsycopg2.connect(x, **{**options, **KEEPALIVE})",
        "sessions.get('x')",
    ],
)
def test_a_call_with_a_deadline_is_none(source: str) -> None:
    assert list(unbounded(source)) == []
