"""Circuit breakers against a plain sequential model, under a clock of the test's, over several connections."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine

from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.protection.breaker_rows import BreakerState, Report, admit, breakers, close, closed, report
from moonx_pipeline_tests.support.clocks import START, connections

THRESHOLD = 3
LEASE = timedelta(seconds=30)
OPEN_FOR = timedelta(seconds=60)
LONG = timedelta(hours=1)
_runs = count(1)


@dataclass
class Model:
    """One breaker, as one would write it for a single thread."""

    state: str = "closed"
    epoch: int = 0
    failures: int = 0
    retry_at: float = 0
    cause: str | None = None

    def admit(self, now: float) -> bool:
        if self.state == "closed":
            return True
        if now < self.retry_at:
            return False
        self.state, self.epoch, self.retry_at = "half_open", self.epoch + 1, now + LEASE.total_seconds()
        return True

    def report(self, epoch: int, outcome: str, now: float) -> str | None:
        """Returns the state that it changed to, if it did."""
        if epoch != self.epoch or self.state == "open":
            return None
        if outcome == "none":
            if self.state == "half_open":
                self.retry_at = now
            return None
        if outcome == "ok":
            self.failures = 0
            if self.state == "closed":
                return None
            self.state, self.epoch, self.cause = "closed", self.epoch + 1, None
            return "closed"
        self.failures += 1
        if self.state == "closed" and outcome == "failure" and self.failures < THRESHOLD:
            return None
        open_for = OPEN_FOR if outcome == "failure" else LONG
        self.state, self.epoch, self.retry_at = "open", self.epoch + 1, now + open_for.total_seconds()
        self.cause = "failures" if outcome == "failure" else outcome
        return "open"


OUTCOMES = ("ok", "failure", "none", "key_rejected")


class BreakerMachine(RuleBasedStateMachine):
    """Callers come by any connection, and tell what they found whenever they like, or never."""

    engine: Engine
    callers = Bundle("callers")

    def __init__(self) -> None:
        super().__init__()
        self.clocks = connections(self.engine)
        self.clock = self.clocks.__enter__()
        run = next(_runs)
        self.keys = [f"a{run}", f"b{run}"]
        self.model = {key: Model() for key in self.keys}
        self.probes: dict[str, list[float]] = {key: [] for key in self.keys}

    def teardown(self) -> None:
        self.clocks.__exit__(None, None, None)

    @property
    def now(self) -> float:
        return (self.clock.now - START).total_seconds()

    @rule(seconds=st.sampled_from([0, 1, 29, 30, 31, 60, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(target=callers, connection=st.integers(0, 2))
    def a_caller_asks(self, connection: int) -> dict[str, BreakerState]:
        states = admit(self.clock[connection], self.keys, LEASE)
        for key in self.keys:
            standing = states.get(key, closed(key))
            admitted = self.model[key].admit(self.now)
            assert (standing.admitted, standing.state, standing.epoch) == (
                admitted, self.model[key].state, self.model[key].epoch,
            )  # fmt: skip
            if admitted and standing.state == "half_open":
                self.probes[key].append(self.now)
        return {key: states.get(key, closed(key)) for key in self.keys}

    @rule(caller=callers, outcomes=st.tuples(*[st.sampled_from(OUTCOMES)] * 2), connection=st.integers(0, 2))
    def a_caller_tells(self, caller: dict[str, BreakerState], outcomes: tuple[str, str], connection: int) -> None:
        reports = [
            Report(key, caller[key].epoch, outcome, "it broke", LONG if outcome == "key_rejected" else OPEN_FOR)
            for key, outcome in zip(self.keys, outcomes, strict=True)
            if caller[key].admitted
        ]
        before = {key: self.model[key].state for key in self.keys}

        transitions = report(self.clock[connection], reports, THRESHOLD)

        expected = []
        for told in reports:
            changed = self.model[told.key].report(told.epoch, told.outcome, self.now)
            if changed is not None:
                expected.append((told.key, before[told.key], changed))
        assert [(t.key, t.was, t.state) for t in transitions] == expected

    @rule(numbers=st.sets(st.integers(0, 1)), connection=st.integers(0, 2))
    def an_operator_closes_them(self, numbers: set[int], connection: int) -> None:
        models = {self.keys[number]: self.model[self.keys[number]] for number in numbers}
        open_ones = {key: model for key, model in models.items() if model.state != "closed"}
        closed = close(self.clock[connection], [*models, "unknown"])
        assert {t.key: (t.was_cause, t.epoch) for t in closed} == {
            key: (model.cause, model.epoch + 1) for key, model in open_ones.items()
        }
        self.model.update({key: Model(epoch=model.epoch + 1) for key, model in open_ones.items()})

    @invariant()
    def it_is_as_in_the_model(self) -> None:
        rows = {row.key: row for row in breakers(self.clock[0])}
        for key, model in self.model.items():
            row = rows.get(key)
            if row is None:
                assert (model.state, model.failures) == ("closed", 0)
                continue
            assert (row.state, row.epoch, row.failure_count, row.cause) == (
                model.state, model.epoch, model.failures, model.cause,
            )  # fmt: skip
            assert (row.retry_at is None) == (model.state == "closed")
            if row.retry_at is not None:
                assert (row.retry_at - START).total_seconds() == model.retry_at


@pytest.mark.slow
def test_it_does_what_a_plain_model_does_whatever_callers_do(engine: Engine) -> None:
    machine = type("BoundBreakerMachine", (BreakerMachine,), {"engine": engine})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    )


def failing(connection, key: str, times: int = 1) -> list:
    changed = []
    for _ in range(times):
        standing = admit(connection, [key], LEASE).get(key, closed(key))
        changed += report(connection, [Report(key, standing.epoch, "failure", "it broke", OPEN_FOR)], THRESHOLD)
    return changed


def test_of_many_callers_at_once_one_is_the_probe(engine: Engine) -> None:
    with connections(engine, 1) as clock:
        failing(clock[0], "alchemy:137", THRESHOLD)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE circuit_breakers SET retry_at = now() - interval '1 second'")
    together = threading.Barrier(8)

    def ask(_: int) -> bool:
        with autocommit(engine) as connection:
            together.wait()
            return admit(connection, ["alchemy:137"], LEASE)["alchemy:137"].admitted

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1


@pytest.mark.parametrize("callers", [THRESHOLD, 12])
def test_failures_at_the_same_time_open_it_once_and_none_is_lost(engine: Engine, callers: int) -> None:
    together = threading.Barrier(callers)

    def fail(_: int) -> int:
        with engine.begin() as connection:
            together.wait()
            reports = [Report(key, 0, "failure", "it broke", OPEN_FOR) for key in ("alchemy:1", "binance")]
            return len(report(connection, reports, THRESHOLD))

    with ThreadPoolExecutor(callers) as pool:
        assert sum(pool.map(fail, range(callers))) == 2  # both keys, once each
    with engine.connect() as connection:
        assert {row.state for row in breakers(connection)} == {"open"}


def test_it_tells_since_when_until_when_and_why(engine: Engine) -> None:
    with connections(engine, 1) as clock:
        failing(clock[0], "binance", THRESHOLD)
        clock.advance(61)
        failing(clock[0], "binance")  # the probe fails: it stays open, and still says since when

        (row,) = breakers(clock[0])

    assert (row.state, row.cause, row.last_error) == ("open", "failures", "it broke")
    assert row.opened_at == START
    assert row.retry_at == START + timedelta(seconds=61) + OPEN_FOR
    assert row.last_failure_at == START + timedelta(seconds=61)
