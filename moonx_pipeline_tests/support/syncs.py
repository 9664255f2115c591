"""What the tests of the core do: register, sync, look."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import jsonschema
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.storage.monitoring.invariants import Unchecked, Violation, check_invariants
from moonx_pipeline.storage.portfolios.portfolio import StoredPortfolio, read_portfolio
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline.sync.store import StoredSync


def register(engine: Engine, user_id: str, *wallets: str) -> None:
    with engine.begin() as connection:
        add_wallets(connection, user_id, wallets)


def sync(
    runtime: Runtime,
    user_id: str = "ann",
    *,
    trigger: str = "manual",
    at: datetime | None = None,
    **order,
) -> StoredSync:
    made = SyncSpec(order.pop("operation_id", None) or uuid.uuid4(), user_id, trigger, **order)
    return SyncPipeline(runtime, clock=(lambda: at) if at else utc_now).run(made)


def portfolio(engine: Engine, user_id: str = "ann") -> StoredPortfolio:
    with engine.connect() as connection:
        stored = read_portfolio(connection, user_id)
    assert stored is not None
    return stored


def events(engine: Engine, user_id: str = "ann") -> list[dict]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT payload FROM outbox_events WHERE key = %s ORDER BY seq", (user_id,))
        return list(rows.scalars())


def alerts(engine: Engine) -> list[dict]:
    """What operators were told, each held against its schema."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT payload FROM outbox_events WHERE topic = 'system.alerts' ORDER BY seq"
        )
        told = list(rows.scalars())
    for event in told:
        jsonschema.validate(event, event_schemas()["system.alert"], cls=jsonschema.Draft202012Validator)
    return [event["data"] for event in told]


def event_types(engine: Engine, user_id: str = "ann") -> list[str]:
    return [event["eventType"] for event in events(engine, user_id)]


def held(engine: Engine, user_id: str = "ann") -> dict[tuple[int, str], int]:
    """Balances by chain and token."""
    return {(p.chain_id, p.token): p.balance for p in portfolio(engine, user_id).positions}


def age_prices(engine: Engine, by: timedelta) -> None:
    """Makes all that sources said of prices, and their answers, that much older."""
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE token_evidence SET answered_at = answered_at - %(by)s, read_at = read_at - %(by)s, "
            "price_at = price_at - %(by)s, depth_at = depth_at - %(by)s",
            {"by": by},
        )


def operation(engine: Engine, user_id: str = "ann"):
    """The operation that started last."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT * FROM sync_operations WHERE user_id = %s ORDER BY fence DESC NULLS LAST LIMIT 1", (user_id,)
        ).one()


def status(engine: Engine, user_id: str = "ann"):
    with engine.connect() as connection:
        return connection.exec_driver_sql("SELECT * FROM user_sync_status WHERE user_id = %s", (user_id,)).one()


def violations(engine: Engine) -> list[Violation | Unchecked]:
    """What contradicts itself in the database, at one moment."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        return check_invariants(connection)
