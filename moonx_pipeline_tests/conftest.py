"""Fixtures that all tests share, each a real server, and how tests are spread over sessions side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

_LONGEST_FIRST: Final = (
    "page",
    "chaos",
    "deploy",
    "worker",
    "metrics",
    "cli",
    "tracing",
    "defs",
    "deploy_monitoring",
    "gateway",
)
"""Folders by how long they take: what is begun last is to be short, so that no session waits for another's end."""

_SHARED: Final = ("site", "image")
"""Fixtures that take long and are shared over files: their tests stay in one session."""

_SYSTEM: Final = frozenset(
    {"worker", "deploy", "deploy_monitoring", "metrics", "cli", "tracing", "gateway", "defs", "proof", "bench"}
)
"""Folders whose tests start processes of the product, or take as long."""

_SERVERS: Final = frozenset({"kafka_server", "redis_server", "evm_toolchain", "system", "gateway", "chaos"})
"""Fixtures that start a server beside PostgreSQL and the simulator."""

# How long an example takes says nothing on a busy machine.
settings.register_profile("moonx", deadline=None)
settings.load_profile("moonx")

pytest_plugins = [
    "moonx_pipeline_tests.fixtures.database",
    "moonx_pipeline_tests.fixtures.simulator",
    "moonx_pipeline_tests.fixtures.kafka",
    "moonx_pipeline_tests.fixtures.evm",
    "moonx_pipeline_tests.fixtures.redis",
    "moonx_pipeline_tests.fixtures.dagster",
    "moonx_pipeline_tests.fixtures.gateway",
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps what shares servers together, and puts what takes long first."""
    root = Path(__file__).parent

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(root).parts[0]

    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        item.add_marker(_tier(folder(item), frozenset(fixtures)))
        group = next((name for name in _SHARED if name in fixtures), str(item.path.relative_to(root)))
        item.add_marker(pytest.mark.xdist_group(group))
    rank = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(folder(item), len(rank)))


def _tier(folder: str, fixtures: frozenset[str]) -> str:
    """What a test needs to run: nothing but Python, a database, a whole system, or a browser."""
    if folder == "page":
        return "browser"
    if folder in _SYSTEM or fixtures & _SERVERS:
        return "system"
    return "db" if "postgres_server" in fixtures else "unit"
