"""A system whose Redis can be frozen, killed and started again."""

from collections.abc import Iterator

import pytest

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.fixtures.dagster import System, running_system
from moonx_pipeline_tests.fixtures.redis import RedisServer


@pytest.fixture
def redis_system(
    postgres_server: str,
    simulator: RunningSimulator,
    own_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("redis")
    with running_system(postgres_server, simulator, folder, CELERY_BROKER_URL=f"{own_redis.url}/0") as running:
        yield running
