"""The cost of unattended syncs: users a minute, by part, and by number of users."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine, event

from moonx_pipeline.bench.crowd import Crowd
from moonx_pipeline.bench.figures import Add
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.storage.portfolios.users import wallets_of
from moonx_pipeline.storage.syncs.webhooks import NO_WEBHOOKS, Webhooks, note_delivery
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline.sync.sweep import Sweep, SweepReport, SweepSpec

USERS: Final = 6000
_SLICE: Final = 1000
_READ: Final = 900
_READERS: Final = 32
_SIZES: Final = (1_000, 10_000, 100_000)


def _sweep(many: Crowd, *, max_users: int = 0, webhooks: Webhooks = NO_WEBHOOKS) -> SweepReport:
    order = SweepSpec(many.settings.periodic.batch_size, max_users=max_users, webhooks=webhooks)
    report = Sweep(many.runtime, order).run()
    if report.statuses["completed"] != report.users:
        raise RuntimeError(f"A sweep of the benchmark failed: {dict(report.statuses)}, {report.problems}")
    return report


def throughput(add: Add, many: Crowd) -> None:
    """Whole sweeps: the first, one that finds nothing changed, and one after all prices moved."""
    many.grow_to(USERS)
    _timed(add, many, "first", ">= 25000")
    many.make_due()
    _timed(add, many, "unchanged", ">= 40000")
    many.make_due()
    many.age_prices()
    many.simulator.change("world", tick=7)
    _timed(add, many, "prices_moved", "")


def _timed(add: Add, many: Crowd, name: str, target: str) -> None:
    server, own = many.server_seconds(), time.process_time()
    report = _sweep(many)
    own, server = time.process_time() - own, many.server_seconds() - server
    add(f"sweep_users_per_minute_{name}", report.users / report.seconds * 60, "users/min", target)
    add(f"sweep_own_cpu_ms_a_user_{name}", own / report.users * 1000, "ms", "")
    add(f"sweep_postgresql_cpu_ms_a_user_{name}", server / report.users * 1000, "ms", "")


def parts(add: Add, many: Crowd) -> None:
    """Our CPU a user in a sweep that changes nothing: HTTP and parsing, the SQL client, and valuing with the rest."""
    many.make_due()
    sql = _SqlClock(many.engine)
    own = time.process_time()
    report = _sweep(many)
    own = (time.process_time() - own) / report.users * 1000
    in_sql = sql.stop() / report.users * 1000
    groups = [
        group
        for first in range(1, _READ + 1, 3)
        for group in _groups(many, [f"user{number}" for number in range(first, first + 3)])
    ]
    scope = CallScope.lasting(60)
    http = time.process_time()
    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(lambda group: many.alchemy.read_balances(group, with_metadata=False, scope=scope), groups))
    http = (time.process_time() - http) / _READ * 1000
    add("sweep_cpu_ms_a_user_http_and_parsing", http, "ms", "")
    add("sweep_cpu_ms_a_user_sql_client", in_sql, "ms", "")
    add("sweep_cpu_ms_a_user_valuing_and_rest", own - http - in_sql, "ms", "")


class _SqlClock:
    """Measures threads' CPU inside the database driver."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began = threading.local()
        self._spent: list[float] = []
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def _begin(self, *_: object) -> None:
        self._began.at = time.thread_time()

    def _end(self, *_: object) -> None:
        self._spent.append(time.thread_time() - self._began.at)

    def stop(self) -> float:
        """Stops counting and returns the seconds so far."""
        event.remove(self._engine, "before_cursor_execute", self._begin)
        event.remove(self._engine, "after_cursor_execute", self._end)
        return sum(self._spent)


def _groups(many: Crowd, names: list[str]) -> list[list[tuple[str, list[int]]]]:
    with many.engine.connect() as connection:
        wallets = [wallet for name in names for wallet in wallets_of(connection, name)]
    pairs = [(wallet, chain.id) for wallet in wallets for chain in many.settings.chains]
    return many.alchemy.plan_requests(pairs, with_metadata=False)


def economy(add: Add, many: Crowd) -> None:
    """Compute units of a sync alone, in a sweep and by price only, and of a user's hour."""

    def units() -> int:
        return int(many.simulator.stats()["computeUnits"])

    before = units()
    SyncPipeline(many.runtime).run(SyncSpec(uuid.uuid4(), "user1"))
    add("compute_units_single_sync", units() - before, "compute units", "<= 400")
    many.make_due()
    many.forget_lists()
    before = units()
    in_full = _sweep(many)
    a_list = (units() - before) / in_full.users
    many.make_due()
    before = units()
    swept = _sweep(many)
    a_sweep = (units() - before) / swept.users
    many.make_due()
    before = units()
    by_price = _sweep(many, webhooks=_alive_webhooks(many))
    by_price_alone = (units() - before) / by_price.users
    add("compute_units_a_user_listed", a_list, "compute units", "<= 70")
    add("compute_units_a_user_swept", a_sweep, "compute units", "<= 5")
    add("provider_calls_1000_users_swept", swept.provider_calls / swept.users * 1000, "calls", "<= 100")
    add("compute_units_a_user_by_price_only", by_price_alone, "compute units", "<= 5")
    # Every five minutes; with a webhook, balances are read once an hour and only prices the other eleven times.
    listed = a_list * timedelta(hours=1) / many.runtime.policy.full_read_every
    add("compute_units_a_user_hour_market", 12 * a_sweep + listed, "compute units", "<= 70")
    add("compute_units_a_user_hour_market_with_webhook", a_sweep + listed + 11 * by_price_alone, "compute units", "")


def _alive_webhooks(many: Crowd) -> Webhooks:
    """Webhooks of all networks, alive for a day."""
    webhooks = Webhooks(frozenset(chain.id for chain in many.settings.chains), timedelta(days=2))
    now = datetime.now(UTC)
    with many.engine.begin() as connection:
        for chain_id in webhooks.chain_ids:
            for at in (now - timedelta(days=1), now):
                note_delivery(connection, chain_id, made_at=at, now=at, quiet_limit=webhooks.quiet_limit)
    return webhooks


def growth(add: Add, many: Crowd) -> None:
    """The cost of syncing 1,000 users by the number of users, all due; the best of three slices."""
    costs = {}
    for size in _SIZES:
        taken = []
        for _ in range(3):
            if size == _SLICE:
                many.forget()  # each slice is synced for the first time
            many.grow_to(size)
            started = time.perf_counter()
            _sweep(many, max_users=_SLICE)
            taken.append((time.perf_counter() - started) / _SLICE * 1000)
        costs[size] = min(taken)
        add(f"sweep_ms_a_user_of_{size}", costs[size], "ms", "")
    add("cost_growth_1k_to_100k", costs[_SIZES[-1]] / costs[_SIZES[0]], "x", "<= 1.2")
