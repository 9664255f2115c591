"""The faults, a row each: what fails, how, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        touches: The ways that stop or stumble by it. Faults that touch different ones don't hide each other.
        brokers: How many of Kafka's the rig has to have.
    """

    name: str
    seconds: float
    begin: Begin
    touches: frozenset[str]
    brokers: int = 1


RUNS: Final = frozenset({"runs"})
"""From a request to a worker, by Dagster and Redis."""

EVENTS: Final = frozenset({"events"})
"""From the outbox to Kafka."""

CLIENTS: Final = frozenset({"clients"})
"""Between clients and a gateway, and from Kafka and the database to it."""

PROVIDERS: Final = frozenset({"providers"})
"""Between workers and providers."""

NO_RUNS: Final = RUNS | PROVIDERS
"""While no run begins, nobody asks a provider either."""

ALL: Final = RUNS | EVENTS | CLIENTS | PROVIDERS


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


PARTS: Final = {
    "worker1": RUNS,
    "relay": EVENTS,
    "gateway1": CLIENTS,
    "webserver": RUNS,
    "code": NO_RUNS,
    "daemon": RUNS,
}
LINKS: Final = {
    "worker-database": NO_RUNS,
    "relay-database": EVENTS,
    "gateway-database": CLIENTS,
    "dagster-database": NO_RUNS,
    "worker-redis": NO_RUNS,
    "dagster-redis": NO_RUNS,
    "worker-kafka": EVENTS,
    "relay-kafka": EVENTS,
    "gateway-kafka": CLIENTS,
    "worker-providers": PROVIDERS,
    "gateway-dagster": RUNS,
    "clients-gateway1": CLIENTS,
}

FAULTS: Final = (
    *(Fault(f"{part} frozen", 15, _frozen(part), touches) for part, touches in PARTS.items()),
    *(Fault(f"{part} killed", 5, _killed(part), touches) for part, touches in PARTS.items()),
    Fault("worker child frozen", 25, special.child_frozen, RUNS),
    Fault("worker child killed", 3, _once(lambda rig: rig.parts["worker1"].kill_child()), RUNS),
    *(Fault(f"{link} cut", 15, _link(link, _cut(*BOTH)), touches) for link, touches in LINKS.items()),
    *(Fault(f"{link} cut up", 12, _link(link, _cut("up")), touches) for link, touches in LINKS.items()),
    *(Fault(f"{link} cut down", 12, _link(link, _cut("down")), touches) for link, touches in LINKS.items()),
    *(Fault(f"{link} slow", 10, _link(link, lambda link: link.slow(0.3)), touches) for link, touches in LINKS.items()),
    *(Fault(f"{link} refused", 8, _link(link, Link.refuse), touches) for link, touches in LINKS.items()),
    *(
        Fault(f"{link} forgotten", 15, _link(link, Link.lose_connections, Link.end_lost_at_server), touches)
        for link, touches in LINKS.items()
    ),
    Fault("postgres frozen", 15, _during(lambda rig: rig.postgres.freeze(), lambda rig: rig.postgres.thaw()), ALL),
    Fault("postgres restarted", 3, _once(lambda rig: rig.postgres.restart()), ALL),
    Fault("postgres killed", 3, _during(lambda rig: rig.postgres.kill(), lambda rig: rig.postgres.restart()), ALL),
    Fault("postgres connections exhausted", 10, database_faults.connections_exhausted, ALL),
    Fault("postgres deadlocks", 10, database_faults.deadlocks, ALL),
    Fault("postgres disk full", 8, database_faults.disk_full, ALL),
    Fault("postgres failover", 8, database_faults.failover, ALL),
    Fault("postgres migrated", 5, database_faults.migration, ALL),
    Fault("redis frozen", 15, _during(lambda rig: rig.redis.freeze(), lambda rig: rig.redis.thaw()), NO_RUNS),
    Fault("redis emptied", 3, _once(_empty_redis), NO_RUNS),
    Fault(
        "redis memory full",
        8,
        _during(lambda rig: rig.redis.limit_memory("1"), lambda rig: rig.redis.limit_memory("0")),
        NO_RUNS,
    ),
    Fault("second daemon", 15, special.second_daemon, RUNS),
    Fault("redis frozen, then emptied", 12, _during(lambda rig: rig.redis.freeze(), _empty_redis), NO_RUNS),
    Fault("kafka frozen", 15, _kafka_frozen, EVENTS),
    Fault("kafka stopped", 8, _during(lambda rig: rig.kafka.stop(), lambda rig: rig.kafka.start()), EVENTS),
    Fault("kafka topic missing", 8, kafka_faults.topic_missing, EVENTS),
    Fault("kafka password refused", 12, kafka_faults.password_refused, EVENTS),
    Fault("kafka leader killed", 20, kafka_faults.killed(1), EVENTS, brokers=3),
    Fault("kafka leader frozen", 25, kafka_faults.leader_frozen, EVENTS, brokers=3),
    Fault("kafka majority killed", 15, kafka_faults.killed(2), EVENTS, brokers=3),
    Fault("kafka restarted in turn", 3, kafka_faults.restarted_in_turn, EVENTS, brokers=3),
    Fault("daemon away for an hour", 10, special.daemon_away, ALL),
    Fault("worker clock fast", 12, special.clock("worker1", 1200), RUNS),
    Fault("worker clock slow", 12, special.clock("worker1", -1200), RUNS),
    Fault("gateway clock fast", 12, special.clock("gateway1", 1200), CLIENTS),
    Fault("relay clock slow", 12, special.clock("relay", -1200), EVENTS),
    Fault("poison event", 5, special.poison_event, EVENTS),
    Fault("poison user", 8, special.poison_user, CLIENTS),
    Fault("poison token", 8, special.poison_token, PROVIDERS),
    Fault("burst of requests", 10, special.burst, CLIENTS),
    Fault("ten thousand requests", 15, special.ten_thousand, ALL),
    Fault("webhook flood", 8, special.webhook_flood, CLIENTS),
    Fault("alchemy outage", 10, _provider("outage", "alchemy"), PROVIDERS),
    Fault("alchemy hangs", 12, _provider("hang", "alchemy"), PROVIDERS),
    Fault("alchemy limits", 8, _provider("rate_limit", "alchemy", params={"retry_after": 2}), PROVIDERS),
    Fault("alchemy truncated", 8, _provider("truncate", "alchemy"), PROVIDERS),
    Fault("alchemy malformed", 8, _provider("malformed", "alchemy"), PROVIDERS),
    Fault("alchemy drips", 10, _provider("slow_drip", "alchemy", params={"seconds": 2}), PROVIDERS),
    Fault("alchemy resets", 8, _provider("reset", "alchemy"), PROVIDERS),
    Fault("alchemy status 600", 8, _provider("status", "alchemy", params={"status": 600}), PROVIDERS),
    Fault("alchemy empty", 8, _provider("empty_answer", "alchemy"), PROVIDERS),
    Fault("alchemy null", 8, _provider("null_answer", "alchemy"), PROVIDERS),
    Fault("alchemy page missing", 8, _provider("missing_page", "alchemy"), PROVIDERS),
    Fault("alchemy pages without end", 8, _provider("endless_page_key", "alchemy"), PROVIDERS),
    Fault("alchemy polygon silent", 8, _provider("silent_network", "alchemy", network="polygon-mainnet"), PROVIDERS),
    Fault("alchemy polygon error", 8, _provider("partial_error", "alchemy", network="polygon-mainnet"), PROVIDERS),
    Fault("alchemy rows twice", 8, _provider("duplicate_tokens", "alchemy"), PROVIDERS),
    Fault("alchemy balance 0x", 8, _provider("0x_balance", "alchemy"), PROVIDERS),
    Fault("alchemy three words", 8, _provider("three_word_balance", "alchemy"), PROVIDERS),
    Fault("alchemy token error", 8, _provider("token_error", "alchemy"), PROVIDERS),
    Fault("alchemy calls refused", 8, _provider("call_refused", "alchemy", params={"code": -32016}), PROVIDERS),
    Fault("binance outage", 8, _provider("outage", "binance"), PROVIDERS),
    Fault("dexscreener hangs", 8, _provider("hang", "dexscreener"), PROVIDERS),
    Fault("coingecko malformed", 8, _provider("malformed", "coingecko"), PROVIDERS),
    Fault("defillama resets", 8, _provider("reset", "defillama"), PROVIDERS),
)

BOUNDED: Final = (
    ("kafka frozen", "alchemy outage"),
    ("redis frozen, then emptied", "burst of requests"),
    ("gateway1 killed", "worker-database forgotten"),
)
"""The rounds of the bounded part: each invariant would be violated by one of them if it were not defended."""

BY_NAME: Final = {fault.name: fault for fault in FAULTS}
