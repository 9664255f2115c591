"""The rate limiter against a plain model, under a clock of the test's, and under real processes at once."""

import multiprocessing
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.storage.connection.engine import open_engine
from moonx_pipeline.storage.connection.retries import autocommit
from moonx_pipeline.storage.protection.rate_limits import Limit, block, blocked_seconds, current_blocks, take
from moonx_pipeline_tests.support.clocks import START, connections

MINUTE = timedelta(minutes=1)
_keys = count(1)


@dataclass
class Model:
    """A limit, computed by looking at all that was ever granted. Times are seconds since the start."""

    most: int
    window: float
    granted: list[tuple[float, int]] = field(default_factory=list)
    last_slot: float = float("-inf")
    blocked_until: float = float("-inf")

    @property
    def grain(self) -> float:
        return self.window / 64 if self.most > 64 else 0

    def entry(self, slot: float) -> float:
        """When a grant counts from: rounded up where the limit is large."""
        return -(-slot // self.grain) * self.grain if self.grain else slot

    def slot_for(self, now: float, cost: int, patience: float) -> float:
        earliest = max(now, self.last_slot, self.blocked_until)
        fitting = [earliest, *(self.entry(slot) + self.window for slot, _ in self.granted)]
        slot = min(moment for moment in fitting if moment >= earliest and self._used(moment) + cost <= self.most)
        if slot > now and patience > 0:
            slot = max(slot, self.last_slot + self.window * cost / self.most)
        return slot

    def take(self, now: float, cost: int, patience: float) -> tuple[bool, float]:
        cost = min(cost, self.most)
        slot = self.slot_for(now, cost, patience)
        if slot > now + patience:
            return False, slot
        self.granted.append((slot, cost))
        self.last_slot = slot
        return True, slot

    def _used(self, moment: float) -> int:
        return sum(cost for slot, cost in self.granted if self.entry(slot) > moment - self.window)

    def fullest_window(self) -> int:
        """The most that was granted in any window, by the times at which calls were really made."""
        ends = [slot for slot, _ in self.granted]
        return max(
            (sum(cost for slot, cost in self.granted if end - self.window < slot <= end) for end in ends), default=0
        )


# Exact in binary and in microseconds: limits that divide the window, waits of half seconds.
limits = st.sampled_from([(1, 60), (2, 60), (5, 60), (12, 60), (64, 64), (128, 64), (256, 128)])
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0.5, 1, 3, 10, 31, 61]),  # seconds that pass before it
        st.integers(1, 40),  # what it costs
        st.sampled_from([0, 0, 2, 10, 45]),  # how long the caller would wait
        st.sampled_from([None] * 6 + [1, 7, 70]),  # a block, instead of a call
        st.integers(0, 2),  # by which connection
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=limits, steps=steps)
def test_it_grants_what_a_look_at_all_that_was_ever_granted_would(engine: Engine, limit, steps) -> None:
    most, window = limit
    key, model = f"provider{next(_keys)}", Model(most, window)
    with connections(engine) as clock:
        for pause, cost, patience, blocked_for, who in steps:
            clock.advance(pause)
            now = (clock.now - START).total_seconds()
            if blocked_for is not None:
                block(clock[who], key, wait=timedelta(seconds=blocked_for), reason="it said so")
                model.blocked_until = max(model.blocked_until, now + blocked_for)
                continue

            answer = take(clock[who], [Limit(key, cost, most, timedelta(seconds=window))], timedelta(seconds=patience))

            granted, slot = model.take(now, cost, patience)
            assert (answer.granted, (answer.slot - START).total_seconds()) == (granted, slot)
            assert answer.wait_seconds == slot - now
            assert model.fullest_window() <= most


def test_a_call_takes_of_all_its_limits_or_of_none(engine: Engine) -> None:
    requests = Limit("alchemy", 1, 10, MINUTE)
    with connections(engine) as clock:
        assert take(clock[0], [requests, Limit("alchemy:compute_units", 200, 300, MINUTE)]).remaining == 9

        refused = take(clock[1], [requests, Limit("alchemy:compute_units", 200, 300, MINUTE)])

        assert (refused.granted, refused.refused_by, refused.remaining) == (False, "alchemy:compute_units", 9)
        assert take(clock[2], [requests]).remaining == 8


def test_the_refused_learn_when_to_come_back_and_then_are_let_in(engine: Engine) -> None:
    limit = [Limit("user:ann:sync", 1, 5, timedelta(minutes=15))]
    with connections(engine) as clock:
        for left in (4, 3, 2, 1, 0):
            answer = take(clock[0], limit)
            assert (answer.granted, answer.remaining) == (True, left)
            assert answer.reset_at == START + timedelta(minutes=15)
            clock.advance(60)

        refused = take(clock[0], limit)

        assert (refused.granted, refused.remaining, refused.slot) == (False, 0, START + timedelta(minutes=15))
        clock.advance(refused.wait_seconds - 0.001)
        assert not take(clock[1], limit).granted
        clock.advance(0.001)
        assert take(clock[1], limit).granted
        assert not take(clock[1], limit).granted


def test_those_who_wait_wake_one_by_one(engine: Engine) -> None:
    limit = [Limit("binance", 4, 240, MINUTE)]
    with connections(engine) as clock:
        for _ in range(60):
            assert take(clock[0], limit).granted

        waits = [take(clock[n], limit, timedelta(minutes=2)).wait_seconds for n in range(5)]

    assert waits[0] >= 60
    assert [round(later - earlier, 3) for earlier, later in pairwise(waits)] == [1.0] * 4


def test_a_block_holds_to_the_second_and_its_callers_come_one_by_one(engine: Engine) -> None:
    limit = [Limit("binance", 1, 60, MINUTE)]
    with connections(engine) as clock:
        assert block(clock[0], "binance", wait=timedelta(seconds=120), reason="banned") == START + timedelta(
            seconds=120
        )
        assert blocked_seconds(clock[1], ["binance"]) == 120
        (current,) = current_blocks(clock[1])
        assert (current.key, current.reason) == ("binance", "banned")

        refused = take(clock[1], limit)
        assert (refused.granted, refused.wait_seconds, refused.refused_by) == (False, 120, "binance")
        waiting = [take(clock[n], limit, timedelta(minutes=3)).wait_seconds for n in range(3)]
        assert waiting == [120, 121, 122]
        # A shorter wait that another response names does not shorten it.
        block(clock[2], "binance", wait=timedelta(seconds=5), reason="slow down")
        clock.advance(119.999)
        assert blocked_seconds(clock[1], ["binance"]) == pytest.approx(0.001)
        clock.advance(0.001)
        assert blocked_seconds(clock[1], ["binance"]) == 0
        assert current_blocks(clock[1]) == []


def test_refusals_without_a_time_back_off_exponentially_once_for_all_under_way(engine: Engine) -> None:
    limit = [Limit("dexscreener", 1, 300, MINUTE)]
    waits = []
    with connections(engine) as clock:
        for _ in range(12):
            together = [take(clock[n], limit, timedelta(seconds=400)) for n in range(4)]
            clock.advance(max(answer.wait_seconds for answer in together))
            began = clock.now
            untils = {
                block(clock[n], "dexscreener", wait=None, slot=answer.slot, reason="429")
                for n, answer in enumerate(together)
            }
            assert len(untils) == 1
            waits.append((untils.pop() - began).total_seconds())
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]

        clock.advance(300 + 61)
        assert block(clock[0], "dexscreener", wait=None, reason="429") == clock.now + timedelta(seconds=1)


def test_a_key_without_a_limit_heeds_blocks_and_nothing_else(engine: Engine) -> None:
    node = [Limit("rpc:1", 1, None, MINUTE)]
    with connections(engine) as clock:
        assert all(take(clock[n], node).granted for n in range(50))
        block(clock[0], "rpc:1", wait=timedelta(seconds=3), reason="429")
        assert take(clock[1], node).wait_seconds == 3


def _hammer(url: str, key: str, most: int, start: float, tries: int, results) -> None:
    engine = open_engine(url, connections=1)
    slots: list[datetime] = []
    with autocommit(engine) as connection:
        time.sleep(max(0, start - time.time()))
        for _ in range(tries):
            answer = take(connection, [Limit(key, 1, most, timedelta(seconds=1))])
            if answer.granted:
                slots.append(answer.slot)
    results.put(slots)


@pytest.mark.slow
@pytest.mark.parametrize("most", [50, 500])
def test_thirty_two_processes_at_one_key_are_granted_no_more_than_the_limit(database_url: str, most: int) -> None:
    context = multiprocessing.get_context("spawn" if multiprocessing.get_start_method() == "spawn" else "fork")
    results = context.SimpleQueue()
    start = time.time() + 1
    workers = [
        context.Process(target=_hammer, args=(database_url, "shared", most, start, 120, results)) for _ in range(32)
    ]
    for worker in workers:
        worker.start()
    slots = sorted(slot for _ in workers for slot in results.get())
    for worker in workers:
        worker.join()

    # In no second more than the limit; and whenever one was refused, the second before it was full.
    for first, beyond in zip(slots, slots[most:], strict=False):
        assert beyond - first >= timedelta(seconds=1)
    seconds = (slots[-1] - slots[0]).total_seconds()
    assert len(slots) >= min(32 * 120, most)
    assert len(slots) <= most * (int(seconds) + 1)
