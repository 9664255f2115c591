"""The bounded part of ``make chaos``: one fault after the other on one rig, so that each invariant is at stake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from moonx_pipeline_tests.chaos.faults import BOUNDED, BY_NAME
from moonx_pipeline_tests.chaos.report import told
from moonx_pipeline_tests.chaos.rig import running_rig
from moonx_pipeline_tests.chaos.rounds import Chaos

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_USERS = 4


@pytest.fixture(scope="module")
def chaos() -> Iterator[Chaos]:
    with running_rig() as rig:
        running = Chaos(rig, seed=1, users=_USERS)
        try:
            running.warm_up()
            yield running
        finally:
            running.stop()


@pytest.mark.parametrize("names", BOUNDED, ids=" + ".join)
def test_the_system_heals_by_itself_and_nothing_wrong_was_told(chaos: Chaos, names: tuple[str, ...]) -> None:
    done = chaos.run([BY_NAME[name] for name in names])

    assert (done.violated, done.healthy_seconds is None, done.settled_seconds is None) == ((), False, False), told(done)
