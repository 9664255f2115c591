"""Which faults are run in which order, and which of them share a round."""

import itertools

from moonx_pipeline_tests.chaos.faults import BY_NAME, FAULTS
from moonx_pipeline_tests.chaos.plan import FIRST, MOST_IN_A_ROUND, Queue, plan

FROZEN, EMPTIED, KILLED = (BY_NAME[name] for name in ("relay frozen", "redis emptied", "gateway1 killed"))


def test_a_seed_gives_one_order_of_all_faults_and_then_pairs() -> None:
    def first(seed: int) -> list[tuple[str, ...]]:
        return [tuple(fault.name for fault in faults) for faults in itertools.islice(plan(seed), len(FAULTS))]

    assert first(1) == first(1)
    assert first(1) != first(2)
    alone = list(itertools.chain(*first(1)))[: len(FAULTS)]
    assert sorted(alone) == sorted(BY_NAME)
    assert len(first(1)[-1]) == 2
    assert len(set(FIRST)) == len(FIRST)


def test_faults_of_a_shared_round_touch_different_ways() -> None:
    for faults in itertools.islice(plan(1), len(FAULTS) // 2):
        touched = list(itertools.chain(*(fault.touches for fault in faults)))
        assert len(faults) <= MOST_IN_A_ROUND
        assert len(set(touched)) == len(touched), faults
        assert len({fault.brokers for fault in faults}) == 1


def test_faults_of_a_shared_round_that_is_not_well_are_run_alone_before_the_next() -> None:
    queue = Queue([[FROZEN, EMPTIED], [KILLED]])

    assert queue.next() == queue.next() == [FROZEN, EMPTIED]
    queue.done(is_well=False)
    assert queue.next() == [FROZEN]
    queue.done(is_well=False)
    assert queue.next() == [EMPTIED]
    queue.done(is_well=True)
    assert queue.next() == [KILLED]
    queue.done(is_well=True)
    assert queue.next() is None


def test_a_shared_round_that_is_well_is_not_run_again() -> None:
    queue = Queue([[FROZEN, EMPTIED], [KILLED]])

    queue.next()
    queue.done(is_well=True)

    assert queue.next() == [KILLED]


def test_a_random_pair_is_of_two_parts() -> None:
    pairs = itertools.islice(plan(1), len(FAULTS), len(FAULTS) + 2000)

    assert all(first.name.split()[0] != second.name.split()[0] for first, second in pairs)
