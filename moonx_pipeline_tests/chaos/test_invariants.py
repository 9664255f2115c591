"""Each invariant on a small history that is well, and on ones that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from moonx_pipeline_tests.chaos import invariants
from moonx_pipeline_tests.chaos.history import (
    Change,
    Commit,
    History,
    OpenBreaker,
    Operation,
    Record,
    Request,
    Seen,
    Stored,
    Viewed,
)

ANN, BOB = "0xa", "0xb"
ETH = (ANN, 1, "0xe")


def started(number: int) -> Commit:
    return Commit(f"s{number}", "sync.events", "ann", "sync.started", number, {})


def completed(*, failed: tuple[int, ...] = (), complete: bool = True) -> Commit:
    data = {"syncOperationId": "o1", "failedChains": [{"chainId": chain} for chain in failed], "complete": complete}
    return Commit("c1", "sync.events", "ann", "sync.completed", 2, {"data": data})


def update(version: int, wallet: str = ANN) -> Seen:
    data = {"version": version, "tokens": [{"walletAddress": wallet}]}
    return Seen("ann@gateway1", "ann", "portfolio_update", data)


def position(balance: str = "7", **changes: Any) -> dict[str, Any]:
    named = {"walletAddress": ANN, "chainId": 1, "tokenAddress": "0xe", "symbol": "ETH"}
    return {**named, "balance": balance, "valueUsd": "0.1", "isCounted": True, "stale": False, **changes}


def view(*positions: dict[str, Any], total: str = "0.1", status: str = "fresh", user: str = "ann") -> Viewed:
    chains = [{"chainId": 1, "status": status, "error": None}]
    return Viewed("ann", {"userId": user, "totalValueUsd": total, "chains": chains, "positions": list(positions)})


OPERATION = Operation("o1", "ann", "completed", "r1", 10, 20, frozenset({(ANN, 1)}))


def well() -> History:
    """Ann clicks once, her balance changes from 5 to 7 meanwhile, and her pages show it."""
    return History(
        commits=[started(1), completed()],
        records=[Record("sync.events", "ann", "s1"), Record("sync.events", "ann", "c1")],
        seen=[update(1), update(2)],
        wallets={"ann": {ANN}, "bob": {BOB}},
        versions={"ann": 2},
        connected={"ann@gateway1": "ann"},
        truth={ETH: [Change(0, 5), Change(15, 7)]},
        operations={"o1": OPERATION},
        stored=[Stored("o1", ETH, 7)],
        viewed=[view(position())],
        accepted=["r1"],
        requests={"r1": Request("r1", "done", None, "o1", None)},
        calls={"alchemy": [1.0, 2.0, 3.0]},
        limits={"alchemy": 3},
    )


def with_operation(**changes: Any) -> dict[str, Any]:
    return {"operations": {"o1": OPERATION._replace(**changes)}}


def with_request(*more: Request, **changes: Any) -> dict[str, Any]:
    request = Request("r1", "done", None, "o1", None)._replace(**changes)
    return {"requests": {one.id: one for one in (request, *more)}}


WRONG: list[tuple[str, Callable[[History], Any], dict[str, Any], str]] = [
    ("lost event", invariants.each_change_is_told_once_in_order, {"records": [Record("sync.events", "ann", "s1")]},
     "is committed and not in Kafka"),
    ("invented event", invariants.each_change_is_told_once_in_order,
     {"records": [*well().records, Record("sync.events", "ann", "x")]}, "was never committed"),
    ("overtaken event", invariants.each_change_is_told_once_in_order, {"records": well().records[::-1]},
     "came after a later one"),
    ("version goes down", invariants.each_change_is_told_once_in_order,
     {"commits": [started(1)._replace(version=3), completed()]}, "version 2 was committed after 3"),
    ("other's wallet", invariants.clients_see_their_own_and_the_newest, {"seen": [update(2, BOB)]},
     "saw a portfolio_update of 0xb"),
    ("other's sync", invariants.clients_see_their_own_and_the_newest,
     {"seen": [update(2), Seen("ann@gateway1", "ann", "sync_started", {"userId": "bob"})]}, "sync_started of bob"),
    ("other's portfolio", invariants.clients_see_their_own_and_the_newest, {"viewed": [view(position(), user="bob")]},
     "was answered the portfolio of bob"),
    ("old version after a new one", invariants.clients_see_their_own_and_the_newest,
     {"seen": [update(2), update(1)]}, "saw version 1 after 2"),
    ("page ends old", invariants.clients_see_their_own_and_the_newest, {"seen": [update(1)]},
     "ends on version 1, stored is 2"),
    ("balance of nowhere", invariants.holdings_follow_answers, {"stored": [Stored("o1", ETH, 6)]}, "stored 6 of 0xe"),
    ("balance of before", invariants.holdings_follow_answers,
     {**with_operation(began=17, ended=20), "stored": [Stored("o1", ETH, 5)]}, "stored 5 of 0xe on 1, held: 7"),
    ("wrong total", invariants.holdings_follow_answers, {"viewed": [view(position(), total="0.2")]},
     "the total is 0.2"),
    ("wrong end", invariants.holdings_follow_answers, {"viewed": [view(position("5"))]}, "does not end as 7"),
    ("holding missing", invariants.holdings_follow_answers, {"viewed": [view(total="0")]}, "does not end as 7"),
    ("holding of nowhere", invariants.holdings_follow_answers,
     {"viewed": [view(position(), position(tokenAddress="0xf", valueUsd="0"))]}, "is stored and not held"),
    ("mark stays", invariants.holdings_follow_answers, {"viewed": [view(position(stale=True), status="stale")]},
     "chain 1 ends as stale"),
    ("mark of the token only", invariants.holdings_follow_answers, {"viewed": [view(position(stale=True))]},
     "is marked stale: True"),
    ("outage not told", invariants.holdings_follow_answers, with_operation(failed=frozenset({137})),
     "could not read {137} and told set()"),
    ("outage told as complete", invariants.holdings_follow_answers,
     {"commits": [completed(failed=(137,))], **with_operation(failed=frozenset({137}))}, "that it is complete"),
    ("contradiction", invariants.holdings_follow_answers, {"contradictions": ["amounts: x"]}, "amounts: x"),
    ("request lost", invariants.accepted_requests_end_once, {"requests": {}}, "accepted and is not stored"),
    ("request waits", invariants.accepted_requests_end_once, with_request(status="pending"), "is still pending"),
    ("request served by one that waits", invariants.accepted_requests_end_once,
     with_request(Request("r2", "pending", None, None, None), status="cancelled", served_by="r2"), "r2 is still"),
    ("request refused without a reason", invariants.accepted_requests_end_once, with_request(status="refused"),
     "is refused without a reason"),
    ("request done by nothing", invariants.accepted_requests_end_once, with_request(operation=None),
     "done without a sync"),
    ("sync failed without a reason", invariants.accepted_requests_end_once, with_operation(status="failed"),
     "ended as failed without a reason"),
    ("request served twice", invariants.accepted_requests_end_once,
     {"operations": {"o1": OPERATION, "o2": OPERATION._replace(id="o2")}}, "was served by 2 syncs"),
    ("limit broken", invariants.limits_and_breakers_hold, {"calls": {"alchemy": [1.0, 2.0, 3.0, 4.0]}},
     "alchemy was called 4 times"),
    ("breaker passed", invariants.limits_and_breakers_hold, {"breakers": [OpenBreaker(9, 1, 12)]},
     "read chain 1, whose breaker was open"),
    ("part ill", invariants.all_is_healthy_and_nothing_is_left, {"unhealthy": {"relay": "kafka: silent"}},
     "relay is not healthy: kafka: silent"),
    ("lock left", invariants.all_is_healthy_and_nothing_is_left, {"left": ["a lock waits: 7"]}, "a lock waits: 7"),
]  # fmt: skip


@pytest.mark.parametrize("invariant", invariants.INVARIANTS, ids=lambda invariant: invariant.__name__)
def test_a_history_that_is_well_violates_nothing(invariant: Callable[[History], Any]) -> None:
    assert list(invariant(well())) == []


@pytest.mark.parametrize(("invariant", "changes", "said"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG])
def test_a_wrong_history_violates_one_invariant_and_says_what(
    invariant: Callable[[History], Any], changes: dict[str, Any], said: str
) -> None:
    wrong = replace(well(), **changes)

    found = list(invariant(wrong))
    assert len(found) == 1
    assert said in found[0]


def test_an_event_that_is_sent_twice_is_one() -> None:
    history = well()
    history.records += history.records

    assert list(invariants.each_change_is_told_once_in_order(history)) == []


def test_an_event_that_is_set_aside_need_not_be_in_kafka() -> None:
    history = replace(well(), commits=[*well().commits, started(3)._replace(id="large", set_aside=True)])

    assert list(invariants.each_change_is_told_once_in_order(history)) == []


def test_a_chain_that_was_not_read_may_keep_an_older_balance() -> None:
    unread = {"o1": OPERATION._replace(began=17, read=frozenset())}
    history = replace(well(), operations=unread, stored=[Stored("o1", ETH, 5)])

    assert list(invariants.holdings_follow_answers(history)) == []


def test_calls_spread_over_more_than_a_minute_keep_a_limit() -> None:
    history = replace(well(), calls={"alchemy": [1.0, 2.0, 3.0, 61.5, 62.5]})

    assert list(invariants.limits_and_breakers_hold(history)) == []


def test_a_sync_after_a_breaker_closed_may_call() -> None:
    history = replace(well(), breakers=[OpenBreaker(4, 1, 9)])

    assert list(invariants.limits_and_breakers_hold(history)) == []
