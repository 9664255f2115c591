"""A Redis that speaks encrypted only, as managed ones do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moonx_pipeline.broker import ping
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.fixtures.dagster import System, running_system
from moonx_pipeline_tests.support.workers import new_user


def pinged(url: str) -> str | None:
    return ping(Settings.from_environment({"CELERY_BROKER_URL": url}))


@pytest.fixture
def system(
    encrypted_redis: tuple[str, str], postgres_server: str, simulator: RunningSimulator, tmp_path: Path
) -> Iterator[System]:
    url, authority = encrypted_redis
    with running_system(
        postgres_server, simulator, tmp_path, CELERY_BROKER_URL=f"{url}?ssl_ca_certs={authority}"
    ) as system:
        yield system


def test_runs_reach_workers_by_an_encrypted_redis(system: System) -> None:
    worker = system.start_worker(1).until_ready()

    assert system.ended(system.launch(new_user(system))) == ["SUCCESS"]
    assert worker.stop() == 0


def test_a_certificate_that_nobody_here_vouches_for_is_refused(encrypted_redis: tuple[str, str]) -> None:
    url, authority = encrypted_redis

    assert pinged(f"{url}?ssl_ca_certs={authority}") is None
    assert "certificate verify failed" in (pinged(url) or "")
    assert "certificate verify failed" in (pinged(f"{url}?ssl_check_hostname=false") or "")


def test_a_certificate_of_another_host_is_refused(encrypted_redis: tuple[str, str]) -> None:
    url, authority = encrypted_redis

    assert "certificate verify failed" in (
        pinged(f"{url.replace('localhost', '127.0.0.1')}?ssl_ca_certs={authority}") or ""
    )


def test_an_operator_may_take_any_certificate(encrypted_redis: tuple[str, str]) -> None:
    assert pinged(f"{encrypted_redis[0]}?ssl_cert_reqs=none") is None
