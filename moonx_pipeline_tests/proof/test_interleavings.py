"""Whatever order sources fail, say nothing or say odd things in: a total is never more nor less than was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.proof.story import SCAMS, STALE_LIMIT, Seen, Step, Story, steps
from moonx_pipeline_tests.support.syncs import violations

_REFERENCE_AGE = timedelta(hours=24)
_BEGINNING = timedelta(days=9)
"""Before now: so that no step of a story is in the future, where sources' own times would look old."""

_QUICK = settings(
    max_examples=15,
    deadline=None,
    # Without shrinking, which takes minutes against real servers.
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(name="settings")
def _settings(simulator: RunningSimulator) -> Settings:
    """Breakers keep the time of the database, which a story's time is not."""
    return Settings.from_environment(
        {**simulator.environment(), **FAST, **UNLIMITED, "ENABLE_CIRCUIT_BREAKER": "false"}
    )


def in_question(seen: Seen, key: tuple[int, str], flag: str) -> bool:
    return flag in seen.positions.get(key, {}).get("flags", ())


def facts(seen: Seen, key: tuple[int, str]) -> Any:
    """What a position follows from, without times."""
    token, position = seen.tokens.get(key), seen.positions.get(key)
    if token is None or position is None:
        return None
    return (
        sorted((q["source"], q["priceUsd"], q["use"]) for q in token["quotes"]),
        token["depth"] and (token["depth"]["state"], token["depth"]["usd"]),
        token["listing"],
        sorted(source["source"] for source in token["answeredNothing"]),
        token["flags"],
        position["balance"],
    )


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def check_each_change_is_explained(before: Seen, after: Seen) -> None:
    assert after.sum_of_counted == after.total_value_usd
    bounded_together = [
        {key: seen.counted(key) for key in seen.positions if "unconfirmed_price" in seen.tokens[key]["flags"]}
        for seen in (before, after)
    ]
    for key in before.positions.keys() | after.positions.keys():
        if before.counted(key) == after.counted(key) or any(key in bounded for bounded in bounded_together):
            continue
        assert facts(before, key) != facts(after, key), (key, before.counted(key), after.counted(key))


def check_what_counts_was_said(story: Story, seen: Seen) -> None:
    """Each counted price is one that its source told within the time that it may be used."""
    for key, position in seen.positions.items():
        if seen.valued_at < seen.at or not position["isCounted"]:
            continue
        price = seen.tokens[key]["price"]
        told = [
            (at, usd)
            for (source, of), said in story.said.items()
            if source == price["source"] and (of == key or is_coin(story, of, key))
            for at, usd in said
        ]
        close = [
            at for at, usd in told if abs(usd - Decimal(price["usd"])) <= usd / 10**12 and story.now - at <= STALE_LIMIT
        ]
        assert close, (key, price, told)


def is_coin(story: Story, one: tuple[int, str], other: tuple[int, str]) -> bool:
    return {one, other} <= {story.key("ether")}


def check_no_rise_without_support(before: Seen, after: Seen) -> None:
    """What counts for more was read anew, or a source that answered stands by it or no longer against it."""
    for key in after.positions:
        if after.counted(key) <= before.counted(key) or "unconfirmed_price" in after.tokens[key]["flags"]:
            continue
        token, position = after.tokens[key], after.positions[key]
        was_read = before.positions.get(key, {}).get("balance") != position["balance"]
        answered = [quote for quote in token["quotes"] if when(quote["readAt"]) > before.valued_at]
        usd = Decimal(token["price"]["usd"])
        support = [quote for quote in answered if usd / 10 <= Decimal(quote["priceUsd"]) <= usd * 10]
        depth_told = token["depth"] and when(token["depth"]["at"]) > before.valued_at
        reference_ended = in_question(before, key, "price_jump")
        doubt_ended = in_question(before, key, "sources_far_apart") and any(
            quote["use"] != "far_apart" and quote["source"] != token["price"]["source"] for quote in answered
        )
        assert was_read or support or depth_told or reference_ended or doubt_ended, (
            key,
            before.counted(key),
            after.counted(key),
            token,
        )


def check_no_fall_without_reason(before: Seen, after: Seen, step: Step) -> None:
    """While nothing moves and no source says what is not true, only age takes something away, and a correction."""
    if step.moves or step.tells_untruth:
        return
    for key, position in before.positions.items():
        if not position["isCounted"] or after.counted(key) >= before.counted(key):
            continue
        ages = [after.at - when(quote["readAt"]) for quote in before.tokens[key]["quotes"]]
        if not any(age > STALE_LIMIT for age in ages):
            assert is_corrected(before, after, key), (key, before.tokens[key], after.tokens.get(key))


def is_corrected(before: Seen, after: Seen, key: tuple[int, str]) -> bool:
    """Whether a source that answered now contradicts the price that counted before."""
    counted = Decimal(before.tokens[key]["price"]["usd"])
    answers = [Decimal(q["priceUsd"]) for q in after.tokens[key]["quotes"] if when(q["readAt"]) > before.valued_at]
    return any(max(counted, usd) > min(counted, usd) * Decimal("1.1") for usd in answers)


def check_scams_stay_out(story: Story, seen: Seen) -> None:
    for name in SCAMS:
        assert seen.counted(story.key(name)) == 0, (name, seen.tokens[story.key(name)])


@_QUICK
@given(st.lists(steps(), min_size=2, max_size=6))
def test_a_total_is_what_was_said_whatever_fails_in_whatever_order(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, told: list[Step]
) -> None:
    story = Story(engine, runtime, simulator, datetime.now(UTC).replace(microsecond=0) - _BEGINNING)
    before = story.seen()
    for step in told:
        note(repr(step))
        story.play(step)

        after = story.seen()
        check_each_change_is_explained(before, after)
        check_what_counts_was_said(story, after)
        check_no_rise_without_support(before, after)
        check_no_fall_without_reason(before, after, step)
        check_scams_stay_out(story, after)
        assert violations(engine) == []
        before = after

    for _ in range(2):
        story.play(Step(timedelta(minutes=6)))
    last = story.seen()
    assert abs(last.total_value_usd - story.truth()) < Decimal("1e-9"), (last.total_value_usd, story.truth())
    assert last.complete
