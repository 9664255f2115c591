"""Faults of processes, clocks and data, and of too much at once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING

import requests
from kafka import KafkaProducer

from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.sync.cancel import cancel_request
from moonx_pipeline_tests.chaos.reading import CROWD, POISON
from moonx_pipeline_tests.fixtures.gateway import token_of
from moonx_pipeline_tests.support.outbox import event, put
from moonx_pipeline_tests.support.webhook_deliveries import delivery, signature_of
from moonx_pipeline_tests.support.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from moonx_pipeline_tests.chaos.rounds import Chaos

_BURST = 400
_DELIVERIES = 400
_CROWD, _BULK = 10_000, 5_000
_BULK_SECONDS = 60.0
_SIZE_TOO_LARGE = 1_200_000


@contextmanager
def child_frozen(chaos: Chaos) -> Iterator[None]:
    """One process of a worker is away for longer than a sync may take."""
    thaw = chaos.rig.parts["worker1"].freeze_child()
    try:
        yield
    finally:
        thaw()


# Clocks


def clock(part: str, seconds: int) -> Callable[[Chaos], AbstractContextManager[None]]:
    """A part starts again on a host whose clock is wrong."""

    @contextmanager
    def fault(chaos: Chaos) -> Iterator[None]:
        shim = wrong_clock(chaos.rig.folder, ahead_seconds=seconds)["LD_PRELOAD"]
        chaos.rig.parts[part].stop()
        chaos.rig.parts[part].start(LD_PRELOAD=shim)
        try:
            yield
        finally:
            chaos.rig.parts[part].stop()
            chaos.rig.parts[part].start()

    return fault


# Data


@contextmanager
def poison_event(chaos: Chaos) -> Iterator[None]:
    """An event that Kafka never takes, and messages of strangers that are no events."""
    large = event(POISON, 1)
    # Random, since Kafka weighs what is compressed.
    large.payload["data"]["filling"] = os.urandom(_SIZE_TOO_LARGE // 2).hex()
    put(chaos.rig.engine, large)
    producer = KafkaProducer(bootstrap_servers=chaos.rig.bootstrap)
    for value in (b"", b"\xff\xfe", b"[]", b"{", json.dumps({"eventId": 1, "data": None}).encode()):
        producer.send("sync.events", key=POISON.encode(), value=value)
    producer.flush(10)
    producer.close()
    yield


@contextmanager
def poison_token(chaos: Chaos) -> Iterator[None]:
    """A user's list has a row that says nothing usable of its balance."""
    world = chaos.rig.simulator.simulation.world
    wallet, chain, address = next(iter(chaos.load.wallets.truth))
    token = world.token(chain, address)
    assert token is not None
    world.set_row(wallet, token, tokenBalance={"value": [1, None]})
    try:
        yield
    finally:
        world.set_row(wallet, token)


ODD = f"{CROWD} '\"\\%s{{}}[...](javascript:1)<b>**;--\N{GRINNING FACE}\N{HEBREW LETTER ALEF}".ljust(255, "x")
_ODD_WALLETS = 20


@contextmanager
def poison_user(chaos: Chaos) -> Iterator[None]:
    """Somebody whose id means something to many programs, and whose holdings no code of ours writes, asks for syncs."""
    rig, load = chaos.rig, chaos.load
    wallets = [derived_address(f"wallet: odd {number}") for number in range(_ODD_WALLETS)]
    rig.register(ODD, *wallets)
    with rig.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_token_holdings (user_id, wallet_address, chain_id, token_address, balance, "
            "token_decimals, balance_formatted, price_usd, price_source, value_usd) "
            "SELECT %s, wallet, 1, wallet, 1, 18, 'NaN', 'NaN', 'binance', 'NaN' FROM unnest(%s::text[]) AS wallet",
            (ODD, wallets),
        )
    load.admit(ODD)
    for gateway in list(rig.gateways) * 2:
        load.click(ODD, gateway)
        load.look(ODD, gateway)
    yield


# Too much at once


@contextmanager
def burst(chaos: Chaos) -> Iterator[None]:
    chaos.load.burst(_BURST)
    yield


@contextmanager
def webhook_flood(chaos: Chaos) -> Iterator[None]:
    """The users' wallets are said to have moved, hundreds of times."""
    wallets = list(chaos.load.users.values())

    def deliver(number: int) -> None:
        body = delivery(wallets[number % len(wallets)])
        headers = {"X-Alchemy-Signature": signature_of(body), "Content-Type": "application/json"}
        with suppress(requests.RequestException):
            url = f"{chaos.rig.gateway_url('gateway1')}/api/v1/webhooks/alchemy"
            requests.post(url, data=body, headers=headers, timeout=15)

    with ThreadPoolExecutor(8) as senders:
        sent = senders.map(deliver, range(_DELIVERIES))
        yield
        list(sent)


@contextmanager
def ten_thousand(chaos: Chaos) -> Iterator[None]:
    """An operator asks for the syncs of 10,000 people at once, and takes back what still waits in the end."""
    rig, people = chaos.rig, [f"{CROWD}{number}" for number in range(_CROWD)]
    with rig.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO user_sync_status (user_id) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING", (people,)
        )
        connection.exec_driver_sql(
            "INSERT INTO user_wallets (user_id, wallet_address) SELECT * FROM unnest(%s::text[], %s::text[]) "
            "ON CONFLICT DO NOTHING",
            (people, [derived_address(f"wallet: {person}") for person in people]),
        )
    headers = {"Authorization": f"Bearer {token_of('operator', role='admin')}"}
    for begin in range(0, _CROWD, _BULK):
        url = f"{rig.gateway_url('gateway1')}/api/v1/sync/bulk"
        body = {"userIds": people[begin : begin + _BULK]}
        answer = requests.post(url, json=body, headers=headers, timeout=_BULK_SECONDS)
        assert answer.status_code == 202, answer.text
        asked = answer.json()["data"]["requests"]
        chaos.load.accepted += [one["requestId"] for one in asked]
    try:
        yield
    finally:
        for (request,) in rig.rows(
            "SELECT id FROM sync_requests WHERE status = 'pending' AND user_id LIKE %s", f"{CROWD}%"
        ):
            cancel_request(rig.engine, request, "Taken back by the operator.")


# Daemons


@contextmanager
def second_daemon(chaos: Chaos) -> Iterator[None]:
    """Two of Dagster's daemons start what users ask for, since the gateways' own way to start runs is away."""
    rig = chaos.rig
    rig.links["gateway-dagster"].refuse()
    rig.second_daemon.start()
    try:
        yield
        assert "SensorDaemon" in rig.second_daemon.log, f"The second daemon did nothing: {rig.second_daemon.log}"
    finally:
        rig.second_daemon.kill()
        rig.links["gateway-dagster"].heal()


@contextmanager
def daemon_away(chaos: Chaos) -> Iterator[None]:
    """Dagster's daemon is away, and nobody else starts runs: what users asked meanwhile waits for an hour."""
    rig = chaos.rig
    rig.parts["daemon"].kill()
    rig.links["gateway-dagster"].refuse()
    try:
        yield
    finally:
        with rig.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE sync_requests SET created_at = created_at - interval '1 hour', "
                "launched_at = launched_at - interval '1 hour', look_at = look_at - interval '1 hour' "
                "WHERE status = 'pending'"
            )
            connection.exec_driver_sql("UPDATE dagster.job_ticks SET timestamp = timestamp - interval '1 hour'")
            connection.exec_driver_sql("UPDATE dagster.daemon_heartbeats SET timestamp = timestamp - interval '1 hour'")
        rig.links["gateway-dagster"].heal()
        rig.parts["daemon"].start()
