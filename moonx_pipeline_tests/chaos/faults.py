"""The faults, a row each: what fails, how, and for how long."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moonx_pipeline_tests.chaos import database_faults, kafka_faults
from moonx_pipeline_tests.chaos import special_faults as special
from moonx_pipeline_tests.support.links import BOTH, Direction, Link

if TYPE_CHECKING:
    from moonx_pipeline_tests.chaos.rig import Rig
    from moonx_pipeline_tests.chaos.rounds import Chaos

Begin = Callable[["Chaos"], AbstractContextManager[None]]


class Fault(NamedTuple):
    """Something that fails for a time.

    Attributes:
        name: What, and how.
        seconds: How long it lasts.
        begin: Begins it, and ends it with the block.
        brokers: How many of Kafka's the rig has to have.
    """

    name: str
    seconds: float
    begin: Begin
    brokers: int = 1


def _during(begin: Callable[[Rig], None], end: Callable[[Rig], None]) -> Begin:
    """A fault that one call begins and another ends."""

    @contextmanager
    def fault(chaos: Chaos) -> Iterator[None]:
        begin(chaos.rig)
        try:
            yield
        finally:
            end(chaos.rig)

    return fault


def _once(begin: Callable[[Rig], None]) -> Begin:
    """A fault that ends by itself."""
    return _during(begin, lambda _: None)


def _frozen(part: str) -> Begin:
    return _during(lambda rig: rig.parts[part].freeze(), lambda rig: rig.parts[part].thaw())


def _killed(part: str) -> Begin:
    return _during(lambda rig: rig.parts[part].kill(), lambda rig: rig.parts[part].start())


def _link(name: str, begin: Callable[[Link], None], end: Callable[[Link], None] = Link.heal) -> Begin:
    return _during(lambda rig: begin(rig.links[name]), lambda rig: end(rig.links[name]))


def _cut(*directions: Direction) -> Callable[[Link], None]:
    return lambda link: link.cut(directions)


def _kafka_frozen(chaos: Chaos) -> AbstractContextManager[None]:
    return chaos.rig.kafka.frozen()


def _empty_redis(rig: Rig) -> None:
    rig.redis.kill()
    rig.redis.start()


def _provider(kind: str, provider: str, **where: Any) -> Begin:
    @contextmanager
    def fault(chaos: Chaos) -> Iterator[None]:
        number = chaos.rig.simulator.fault(kind, provider, **where)
        try:
            yield
        finally:
            chaos.rig.simulator.simulation.faults.clear(number)

    return fault


PARTS: Final = ("worker1", "relay", "gateway1", "webserver", "code", "daemon")
LINKS: Final = (
    "worker-database",
    "relay-database",
    "gateway-database",
    "dagster-database",
    "worker-redis",
    "dagster-redis",
    "worker-kafka",
    "relay-kafka",
    "gateway-kafka",
    "worker-providers",
    "gateway-dagster",
    "clients-gateway1",
)

FAULTS: Final = (
    *(Fault(f"{part} frozen", 15, _frozen(part)) for part in PARTS),
    *(Fault(f"{part} killed", 5, _killed(part)) for part in PARTS),
    Fault("worker child frozen", 25, special.child_frozen),
    Fault("worker child killed", 3, _once(lambda rig: rig.parts["worker1"].kill_child())),
    *(Fault(f"{link} cut", 15, _link(link, _cut(*BOTH))) for link in LINKS),
    *(Fault(f"{link} cut up", 12, _link(link, _cut("up"))) for link in LINKS),
    *(Fault(f"{link} cut down", 12, _link(link, _cut("down"))) for link in LINKS),
    *(Fault(f"{link} slow", 10, _link(link, lambda link: link.slow(0.3))) for link in LINKS),
    *(Fault(f"{link} refused", 8, _link(link, Link.refuse)) for link in LINKS),
    *(Fault(f"{link} forgotten", 15, _link(link, Link.lose_connections, Link.end_lost_at_server)) for link in LINKS),
    Fault("postgres frozen", 15, _during(lambda rig: rig.postgres.freeze(), lambda rig: rig.postgres.thaw())),
    Fault("postgres restarted", 3, _once(lambda rig: rig.postgres.restart())),
    Fault("postgres killed", 3, _during(lambda rig: rig.postgres.kill(), lambda rig: rig.postgres.restart())),
    Fault("postgres connections exhausted", 10, database_faults.connections_exhausted),
    Fault("postgres deadlocks", 10, database_faults.deadlocks),
    Fault("postgres disk full", 8, database_faults.disk_full),
    Fault("postgres failover", 8, database_faults.failover),
    Fault("postgres migrated", 5, database_faults.migration),
    Fault("redis frozen", 15, _during(lambda rig: rig.redis.freeze(), lambda rig: rig.redis.thaw())),
    Fault("redis emptied", 3, _once(_empty_redis)),
    Fault(
        "redis memory full",
        8,
        _during(lambda rig: rig.redis.limit_memory("1"), lambda rig: rig.redis.limit_memory("0")),
    ),
    Fault("second daemon", 15, _during(lambda rig: rig.second_daemon.start(), lambda rig: rig.second_daemon.kill())),
    Fault("redis frozen, then emptied", 12, _during(lambda rig: rig.redis.freeze(), _empty_redis)),
    Fault("kafka frozen", 15, _kafka_frozen),
    Fault("kafka stopped", 8, _during(lambda rig: rig.kafka.stop(), lambda rig: rig.kafka.start())),
    Fault("kafka topic missing", 8, kafka_faults.topic_missing),
    Fault("kafka password refused", 12, kafka_faults.password_refused),
    Fault("kafka leader killed", 20, kafka_faults.killed(1), brokers=3),
    Fault("kafka leader frozen", 25, kafka_faults.leader_frozen, brokers=3),
    Fault("kafka majority killed", 15, kafka_faults.killed(2), brokers=3),
    Fault("kafka restarted in turn", 3, kafka_faults.restarted_in_turn, brokers=3),
    Fault("daemon away for an hour", 10, special.daemon_away),
    Fault("worker clock fast", 12, special.clock("worker1", 1200)),
    Fault("worker clock slow", 12, special.clock("worker1", -1200)),
    Fault("gateway clock fast", 12, special.clock("gateway1", 1200)),
    Fault("relay clock slow", 12, special.clock("relay", -1200)),
    Fault("poison event", 5, special.poison_event),
    Fault("poison token", 8, special.poison_token),
    Fault("burst of requests", 10, special.burst),
    Fault("ten thousand requests", 15, special.ten_thousand),
    Fault("webhook flood", 8, special.webhook_flood),
    Fault("alchemy outage", 10, _provider("outage", "alchemy")),
    Fault("alchemy hangs", 12, _provider("hang", "alchemy")),
    Fault("alchemy limits", 8, _provider("rate_limit", "alchemy", params={"retry_after": 2})),
    Fault("alchemy truncated", 8, _provider("truncate", "alchemy")),
    Fault("alchemy malformed", 8, _provider("malformed", "alchemy")),
    Fault("alchemy drips", 10, _provider("slow_drip", "alchemy", params={"seconds": 2})),
    Fault("alchemy resets", 8, _provider("reset", "alchemy")),
    Fault("alchemy status 600", 8, _provider("status", "alchemy", params={"status": 600})),
    Fault("alchemy empty", 8, _provider("empty_answer", "alchemy")),
    Fault("alchemy null", 8, _provider("null_answer", "alchemy")),
    Fault("alchemy page missing", 8, _provider("missing_page", "alchemy")),
    Fault("alchemy pages without end", 8, _provider("endless_page_key", "alchemy")),
    Fault("alchemy polygon silent", 8, _provider("silent_network", "alchemy", network="polygon-mainnet")),
    Fault("alchemy polygon error", 8, _provider("partial_error", "alchemy", network="polygon-mainnet")),
    Fault("alchemy rows twice", 8, _provider("duplicate_tokens", "alchemy")),
    Fault("alchemy balance 0x", 8, _provider("0x_balance", "alchemy")),
    Fault("alchemy three words", 8, _provider("three_word_balance", "alchemy")),
    Fault("alchemy token error", 8, _provider("token_error", "alchemy")),
    Fault("alchemy calls refused", 8, _provider("call_refused", "alchemy", params={"code": -32016})),
    Fault("binance outage", 8, _provider("outage", "binance")),
    Fault("dexscreener hangs", 8, _provider("hang", "dexscreener")),
    Fault("coingecko malformed", 8, _provider("malformed", "coingecko")),
    Fault("defillama resets", 8, _provider("reset", "defillama")),
)

BOUNDED: Final = (
    ("kafka frozen", "alchemy outage"),
    ("redis frozen, then emptied", "burst of requests"),
    ("gateway1 killed", "worker-database forgotten"),
)
"""The rounds of the bounded part: each invariant would be violated by one of them if it were not defended."""

FIRST: Final = (
    *(name for names in BOUNDED for name in names),
    "relay-kafka cut",
    "gateway-kafka forgotten",
    "relay-database forgotten",
    "gateway-database cut",
    "worker child frozen",
    "worker1 killed",
    "worker1 frozen",
    "relay frozen",
    "gateway1 frozen",
    "daemon killed",
    "postgres restarted",
    "postgres frozen",
    "postgres killed",
    "postgres connections exhausted",
    "postgres deadlocks",
    "postgres disk full",
    "postgres failover",
    "postgres migrated",
    "kafka stopped",
    "kafka topic missing",
    "kafka password refused",
    "redis emptied",
    "redis memory full",
    "second daemon",
    "daemon away for an hour",
    "ten thousand requests",
    "worker clock fast",
    "poison event",
    "poison token",
    "webhook flood",
    "alchemy hangs",
    "alchemy empty",
    "alchemy polygon silent",
    "worker-redis forgotten",
    "worker-providers cut down",
    "clients-gateway1 forgotten",
    "kafka leader killed",
    "kafka leader frozen",
    "kafka restarted in turn",
    "kafka majority killed",
)
"""Those that matter most, in their order."""

BY_NAME: Final = {fault.name: fault for fault in FAULTS}


def plan(seed: int) -> Iterator[Sequence[Fault]]:
    """What to run: those that matter most, then the others in an order by the seed, then random pairs for ever."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    rest = [fault for fault in FAULTS if fault.name not in FIRST]
    chance.shuffle(rest)
    yield from ([BY_NAME[name]] for name in FIRST)
    yield from ([fault] for fault in rest)
    while True:
        yield chance.sample([fault for fault in FAULTS if fault.brokers == 1], 2)
