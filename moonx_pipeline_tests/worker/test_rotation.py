"""The password of Redis is changed while runs go on."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from moonx_pipeline.settings import load_settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.fixtures.dagster import System, running_system
from moonx_pipeline_tests.support.workers import new_user

OLD, NEW = secrets.token_urlsafe(12), secrets.token_urlsafe(12)


class Guarded:
    """A Redis that knows one user, as it is used with his password of then."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._redis.execute_command("ACL", "SETUSER", "moonx", "reset", "on", "allkeys", "allchannels", "+@all")
        self._parts = urlsplit(url)

    def take(self, password: str) -> None:
        self._redis.execute_command("ACL", "SETUSER", "moonx", f">{password}")

    def drop(self, password: str) -> None:
        self._redis.execute_command("ACL", "SETUSER", "moonx", f"<{password}")

    def url(self, password: str) -> str:
        return f"redis://moonx:{password}@{self._parts.netloc}{self._parts.path}"


@pytest.fixture
def redis(redis_url: str) -> Guarded:
    return Guarded(redis_url)


@pytest.fixture
def system(redis: Guarded, postgres_server: str, simulator: RunningSimulator, tmp_path: Path) -> Iterator[System]:
    redis.take(OLD)
    with running_system(postgres_server, simulator, tmp_path, CELERY_BROKER_URL=redis.url(OLD)) as system:
        yield system


def test_two_passwords_take_turns_and_every_run_is_carried(
    system: System, redis: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = system.start_worker(1).until_ready()
    assert system.ended(system.launch(new_user(system))) == ["SUCCESS"]

    redis.take(NEW)
    new = system.start_worker(1, CELERY_BROKER_URL=redis.url(NEW)).until_ready()
    assert old.stop() == 0
    assert system.ended(system.launch(new_user(system))) == ["SUCCESS"]  # by a launcher that has the old one

    monkeypatch.setenv("CELERY_BROKER_URL", redis.url(NEW))
    load_settings.cache_clear()
    system.instance.dispose()
    system.instance = dg.DagsterInstance.get()
    redis.drop(OLD)
    with pytest.raises(AuthenticationError):
        Redis.from_url(redis.url(OLD)).ping()
    assert system.ended(system.launch(new_user(system))) == ["SUCCESS"]
    assert new.stop() == 0
