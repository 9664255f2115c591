"""Whatever is stored how often and in whatever order, the sync that opened last stands, told of once."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, NATIVE_TOKEN
from moonx_pipeline.domain.evidence import found
from moonx_pipeline.domain.holdings import holdings_after
from moonx_pipeline.domain.market import Known, Market
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, TokenKey
from moonx_pipeline.domain.price_limits import PriceLimits
from moonx_pipeline.domain.quotes import PriceSource, Quote
from moonx_pipeline.domain.valuation import Valuer, totals_of
from moonx_pipeline.providers.scope import CallScope
from moonx_pipeline.sync.open import open_requested
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import OpenSync, SyncSpec
from moonx_pipeline.sync.store import store_syncs
from moonx_pipeline.sync.value import Costs, ValuedSync
from moonx_pipeline_tests.support.syncs import events, held, register, status

WALLET = "0x" + "ab" * 20
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PRICE = found(PriceSource.BINANCE, NOW, Quote(PriceSource.BINANCE, Decimal("2000.5"), None, NOW))
MARKET = Market(
    {TokenKey(chain.id, NATIVE_TOKEN): Known(None, PRICE) for chain in DEFAULT_CHAINS},
    now=NOW,
    limits=PriceLimits(),
    fresh_for=timedelta(minutes=5),
    old_after=timedelta(minutes=5),
)
_users = count(1)

# A sync reads these balances, one a chain; it is stored at these points of the order, perhaps more than once.
syncs = st.lists(
    st.tuples(st.lists(st.integers(0, 3), min_size=5, max_size=5), st.integers(1, 3)), min_size=1, max_size=5
)


def valued(sync: OpenSync, balances: list[int]) -> ValuedSync:
    readings = tuple(
        ChainBalances(WALLET, chain.id, ChainOutcome.OK, {NATIVE_TOKEN: balance}, source="test")
        for chain, balance in zip(DEFAULT_CHAINS, balances, strict=True)
    )
    valuer = Valuer({}, MARKET)
    positions = valuer.positions(holdings_after(readings, {}))
    totals = totals_of(positions, ())
    return ValuedSync(
        sync, readings, positions, totals, NOW, None, valuer, (), CallScope.lasting(1), Costs(1, 200), None
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=syncs, random=st.randoms())
def test_the_sync_that_opened_last_stands_and_each_is_told_of_once(
    engine: Engine, runtime: Runtime, made, random
) -> None:
    user = f"user{next(_users)}"
    register(engine, user, WALLET)
    opened = [
        valued(open_requested(runtime, SyncSpec(uuid.uuid4(), user, "schedule"), NOW), balances) for balances, _ in made
    ]
    order = [sync for sync, (_, times) in zip(opened, made, strict=True) for _ in range(times)]
    random.shuffle(order)

    for sync in order:
        store_syncs(runtime, [sync], NOW)

    last = opened[-1]
    assert held(engine, user) == {(p.chain_id, p.token): p.balance for p in last.positions}
    assert status(engine, user).total_value_usd == last.totals.value_usd
    told = events(engine, user)
    assert len({event["eventId"] for event in told}) == len(told)
    for sync in opened:
        mine = [e["eventType"] for e in told if e["data"]["syncOperationId"] == str(sync.sync.spec.operation_id)]
        assert mine[0] == "sync.started"
        assert len([kind for kind in mine if kind in ("sync.completed", "sync.failed")]) == 1
    updated = [event["version"] for event in told if event["eventType"] == "portfolio.updated"]
    assert updated == list(range(1, len(updated) + 1))
    assert status(engine, user).portfolio_version == len(updated)
    with engine.connect() as connection:
        snapshots = connection.exec_driver_sql(
            "SELECT sync_operation_id, chain_id, token_address FROM user_token_holdings_history WHERE user_id = %s",
            (user,),
        ).all()
    assert len(set(snapshots)) == len(snapshots)
