"""The breaker and the limiter as ops, sensors and schedules ask them, against a real server."""

from datetime import timedelta

import dagster as dg
import pytest
from sqlalchemy import Engine

from moonx_pipeline.defs.resources import CircuitBreaker, Database, PipelineRuntime, PipelineSettings, RateLimiter
from moonx_pipeline.providers.errors import Unavailable
from moonx_pipeline.settings import load_settings
from moonx_pipeline.storage.protection.breaker_rows import breakers
from moonx_pipeline.storage.protection.rate_limits import Limit


@pytest.fixture
def resources(database_url: str, simulator, monkeypatch: pytest.MonkeyPatch):
    for name, value in {**simulator.environment(), "DATABASE_URL": database_url}.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    settings = PipelineSettings()
    database = Database(settings=settings)
    yield {
        "circuit_breaker": CircuitBreaker(runtime=PipelineRuntime(settings=settings, database=database)),
        "rate_limiter": RateLimiter(settings=settings, database=database),
    }
    load_settings.cache_clear()


def test_an_op_asks_and_tells_the_breaker(resources, engine: Engine) -> None:
    @dg.op
    def fail_once(circuit_breaker: CircuitBreaker) -> bool:
        asked = circuit_breaker.ask("binance")
        if asked.is_open("binance"):
            return True
        asked.record_error("binance", Unavailable("It is down.", provider="binance"))
        circuit_breaker.tell(asked)
        return circuit_breaker.state_of("binance").state == "open"

    @dg.job(resource_defs=resources)
    def failing() -> None:
        fail_once()

    opened = [failing.execute_in_process().output_for_node("fail_once") for _ in range(6)]

    assert opened == [False] * 4 + [True, True]
    with engine.connect() as connection:
        (row,) = breakers(connection)
    assert (row.state, row.last_error) == ("open", "It is down.")
    assert resources["circuit_breaker"].reset("binance")
    assert resources["circuit_breaker"].state_of("binance").admitted


def test_a_sensor_asks_the_limiter(resources) -> None:
    @dg.sensor(job_name="any")
    def limited(rate_limiter: RateLimiter) -> dg.SkipReason:
        grant = rate_limiter.take([Limit("webhooks", 1, 2, timedelta(minutes=1))])
        return dg.SkipReason("taken" if grant.granted else f"refused by {grant.refused_by}")

    with dg.build_sensor_context(resources={"rate_limiter": resources["rate_limiter"]}) as context:
        said = [limited(context).skip_message for _ in range(3)]

    assert said == ["taken", "taken", "refused by webhooks"]


def test_a_person_may_ask_for_five_syncs_in_fifteen_minutes(resources) -> None:
    limiter = resources["rate_limiter"]

    answers = [limiter.take_manual_sync("ann") for _ in range(6)]

    assert [(answer.granted, answer.remaining) for answer in answers] == [
        (True, 4), (True, 3), (True, 2), (True, 1), (True, 0), (False, 0),
    ]  # fmt: skip
    assert 890 < answers[-1].wait_seconds <= 900
    assert limiter.take_manual_sync("bob").granted
    assert limiter.blocks() == []
