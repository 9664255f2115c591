"""What is counted of syncs, breakers and limits: each end once, whatever it is."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.reasons import INTERNAL_ERROR
from moonx_pipeline.metrics.protection import bounded, breaker_labels
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.protection.rate_limits import Limit, take
from moonx_pipeline.sync.open import open_requested
from moonx_pipeline.sync.protection.breakers import user_key
from moonx_pipeline.sync.recovery import recover_lost
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncRefused, SyncSpec
from moonx_pipeline.sync.store import fail_sync
from moonx_pipeline.sync.sweep import Sweep, SweepSpec
from moonx_pipeline_tests.support.syncs import register, sync


@pytest.fixture
def grown() -> Callable[..., float]:
    """By how much a metric has grown since the test began."""
    before = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }

    def since(name: str, **labels: str) -> float:
        now = REGISTRY.get_sample_value(name, labels) or 0
        return now - before.get((name, frozenset(labels.items())), 0)

    return since


def ended(grown: Callable[..., float], status: str, trigger: str = "manual") -> float:
    return grown("sync_jobs_processed_total", trigger=trigger, status=status)


def test_a_sync_is_counted_by_how_it_ended_with_its_duration(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, grown: Callable[..., float]
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("outage", "alchemy")
    sync(runtime)

    assert (ended(grown, "completed"), ended(grown, "failed")) == (1, 1)
    assert grown("sync_jobs_failed_total", code="no_chain_read") == 1
    assert grown("sync_job_duration_seconds_count", trigger="manual") == 2


def test_one_that_has_ended_is_not_counted_again(engine: Engine, runtime: Runtime, grown: Callable[..., float]) -> None:
    register(engine, "ann", PLAIN_WALLET)
    opened = open_requested(runtime, SyncSpec(uuid.uuid4(), "ann"), utc_now())

    for _ in range(2):
        fail_sync(runtime, opened, INTERNAL_ERROR, "Twice.", utc_now())

    assert (ended(grown, "failed"), grown("sync_jobs_failed_total", code="internal_error")) == (1, 1)


def test_all_users_of_a_sweep_are_counted(engine: Engine, runtime: Runtime, grown: Callable[..., float]) -> None:
    for number in range(5):
        register(engine, f"user{number}", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET last_active_at = now(), next_sync_at = now()")

    report = Sweep(runtime, SweepSpec(batch_size=2)).run()

    assert report.users == ended(grown, "completed", "schedule") == 5


def test_one_that_was_refused_and_one_that_was_lost_are_counted(
    engine: Engine, runtime: Runtime, grown: Callable[..., float]
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_sync_status SET is_sync_enabled = false")
    with pytest.raises(SyncRefused):
        sync(runtime)
    assert ended(grown, "refused") == 1

    register(engine, "bob", PLAIN_WALLET)
    open_requested(runtime, SyncSpec(uuid.uuid4(), "bob"), utc_now() - timedelta(hours=1))
    recover_lost(runtime, utc_now())

    assert grown("sync_jobs_failed_total", code="sync_worker_lost") == 1


def test_breakers_that_open_and_limits_that_are_used_up_are_counted(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, grown: Callable[..., float]
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("bad_key", "alchemy")
    sync(runtime)
    assert grown("circuit_breaker_open_total", key="alchemy:1") == 1
    assert grown("provider_requests_total", provider="alchemy", chain="none", outcome="key_rejected") >= 1

    limit = Limit("user:ann:sync", 1, 1, timedelta(minutes=15))
    with autocommit(engine) as connection:
        assert [take(connection, [limit]).granted for _ in range(3)] == [True, False, False]
    assert grown("rate_limit_exceeded_total", limit="user") == 2


def test_every_breaker_that_a_sync_may_have_to_do_with_has_its_label(settings: Settings, runtime: Runtime) -> None:
    keys = [*runtime.providers.breaker_keys, user_key("ann")]
    assert {bounded(key) for key in keys} <= {*breaker_labels(settings.chains)}
