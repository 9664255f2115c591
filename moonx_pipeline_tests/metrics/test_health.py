"""Looking at parts: one that hangs holds up no other, nor whoever asks."""

import threading
from collections.abc import Iterator

import pytest

from moonx_pipeline.metrics.health import Check, Readiness


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_part_that_hangs_is_away_and_the_others_are_told_of(released: threading.Event) -> None:
    looks = []

    def hang() -> str | None:
        looks.append(1)
        released.wait()
        return None

    readiness = Readiness({"slow": Check(True, hang), "quick": Check(True, lambda: None)})

    found = readiness.read()

    assert found["status"] == "not_ready"
    assert found["dependencies"]["quick"]["ok"]
    assert "not answered" in found["dependencies"]["slow"]["error"]
    # As long as it hangs, it is not looked at by another thread as well.
    readiness._found_at = float("-inf")
    readiness.read()
    assert looks == [1]


def test_what_is_not_needed_may_be_away() -> None:
    readiness = Readiness({"needed": Check(True, lambda: None), "other": Check(False, lambda: "It is away.")})

    assert readiness.read()["status"] == "ready"
    (family,) = readiness.collect()
    assert {sample.labels["dependency"]: sample.value for sample in family.samples} == {"needed": 1, "other": 0}


def test_a_look_that_breaks_tells_its_kind_and_nothing_that_it_says() -> None:
    def breaks() -> str | None:
        raise ValueError("password=sekrit")

    found = Readiness({"part": Check(True, breaks)}).read()

    assert found["dependencies"]["part"]["error"] == "It can't be looked at (ValueError)."
