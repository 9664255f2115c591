"""What the official client receives: its user's events, in order, once."""

import json
import uuid
from functools import partial

import pytest

from moonx_pipeline.domain.events import Event
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess
from moonx_pipeline_tests.gateway.live.clients import connected
from moonx_pipeline_tests.gateway.live.conftest import Live
from moonx_pipeline_tests.support.live_events import alert, completed, emitted, failed, started, tell, updated

END = partial(started, version=999)


def received(client, end: Event) -> list[tuple[str, dict]]:
    """All up to an event that is known to be the last."""
    lines = client.until("sync_started", eventId=str(end.id))
    return [(line["name"], line["data"]) for line in lines[:-1]]


def test_a_user_is_told_what_happens_to_him_in_order_and_nobody_else_is(live: Live) -> None:
    told = [
        started("ann", 0),
        completed("ann", 1),
        updated("ann", 1),
        started("ann", 1),
        failed("ann", 1),
        updated("ann", 2),
    ]
    with connected(live.gateway, "ann") as ann, connected(live.gateway, "bob") as bob:
        for event in told:
            live.tell(event, updated("cyd", 1))
        live.tell(for_ann := END("ann"), for_bob := END("bob"))

        names = [
            "sync_started",
            "sync_completed",
            "portfolio_update",
            "sync_started",
            "sync_failed",
            "portfolio_update",
        ]
        # Kafka keeps the order of a user within a topic; of two topics he is told as they come.
        in_order = received(ann, for_ann) if not live.has_kafka else sorted_by(told, received(ann, for_ann))
        assert in_order == list(zip(names, map(emitted, told), strict=True))
        assert received(bob, for_bob) == []


def sorted_by(told: list[Event], lines: list[tuple[str, dict]]) -> list[tuple[str, dict]]:
    ids = [str(event.id) for event in told]
    for name in ("portfolio_update", "sync"):
        of_topic = [data["eventId"] for kind, data in lines if kind.startswith(name)]
        assert of_topic == [i for i in ids if i in of_topic]
    return sorted(lines, key=lambda line: ids.index(line[1]["eventId"]))


def test_what_comes_again_or_is_older_is_not_told_again(live: Live) -> None:
    again, older = started("ann", 1), updated("ann", 1)
    with connected(live.gateway, "ann") as ann:
        live.tell(again, updated("ann", 2))
        lines = [ann.next(), ann.next()]
        with live.gateway.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM outbox_events WHERE id = %s", (again.id,))
        live.tell(again, older, updated("ann", 3))
        lines.append(ann.next())
        live.tell(end := END("ann"))
        rest = received(ann, end)

    told = [(line["name"], line["data"]["version"]) for line in lines]
    assert sorted(told[:2]) == [("portfolio_update", 2), ("sync_started", 1)]
    assert (told[2], rest) == (("portfolio_update", 3), [])


def test_alerts_reach_everybody_but_those_about_a_user_only_him_and_administrators(live: Live) -> None:
    told = [alert("alchemy:1", "about all"), alert("user:ann", "about ann"), alert("user", "about users")]
    with (
        connected(live.gateway, "ann") as ann,
        connected(live.gateway, "bob") as bob,
        connected(live.gateway, "root", role="admin") as root,
    ):
        live.tell(*told)
        live.tell(last := alert("binance", "the last"))

        def messages(client) -> set[str]:
            lines = client.until("system_alert", eventId=str(last.id))
            assert {line["name"] for line in lines} == {"system_alert"}
            return {line["data"]["message"] for line in lines[:-1]}

        of_chain = "Ethereum is hard to read: its amounts may be older."
        assert messages(ann) == {of_chain, "Your portfolio could not be synced; it is tried later."}
        assert messages(bob) == {of_chain}
        assert messages(root) == {"about all", "about ann", "about users"}


def test_progress_of_a_sync_reaches_its_user_and_is_not_kept(live: Live) -> None:
    step = {
        "syncOperationId": str(uuid.uuid4()),
        "chainId": 137,
        "state": "failed",
        "reason": "It took too long to answer.",
        "code": "timeout",
        "retryAt": None,
    }
    with connected(live.gateway, "ann") as ann, connected(live.gateway, "bob") as bob:
        notify(live.gateway, "no json")
        notify(live.gateway, json.dumps({**step, "userId": 7}))
        notify(live.gateway, json.dumps({**step, "userId": "ann"}))

        assert ann.next() == {"name": "sync_progress", "data": step}
        live.tell(end := END("bob"))
        assert received(bob, end) == []


def notify(gateway: GatewayProcess, text: str) -> None:
    with gateway.engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_notify('moonx_progress', %s)", (text,))


@pytest.mark.parametrize("open_for", ["delayed", "other"])
def test_neither_a_transaction_that_is_open_nor_its_late_end_costs_an_event(
    gateway: GatewayProcess, open_for: str
) -> None:
    late = started("ann", 1)
    with connected(gateway, "ann") as ann, gateway.engine.connect() as slow:
        transaction = slow.begin()
        insert_events(slow, [late] if open_for == "delayed" else [started(f"other {uuid.uuid4()}", 1)])
        tell(gateway.engine, early := started("ann", 2))
        assert ann.next()["data"]["eventId"] == str(early.id)
        transaction.commit()
        if open_for == "delayed":
            assert ann.next()["data"]["eventId"] == str(late.id)
