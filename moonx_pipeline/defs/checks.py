"""Checks of a stored portfolio, read back from the database."""

import warnings

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning
from sqlalchemy import Engine

from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.portfolio import portfolio
from moonx_pipeline.defs.resources import Database
from moonx_pipeline.domain.chains import CHAIN_BY_ID
from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.domain.money import plain
from moonx_pipeline.storage.portfolios.portfolio import StoredPortfolio, read_portfolio

# Partitioned checks are a preview feature, but without them all users would share one check state.
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec", category=PreviewWarning)


def _stored(engine: Engine, user_id: str) -> StoredPortfolio:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        stored = read_portfolio(connection, user_id)
    if stored is None:
        raise dg.Failure(f"User '{user_id}' has no wallets any more: nothing to check.", allow_retries=False)
    return stored


@dg.asset_check(
    asset=portfolio,
    partitions_def=users,
    description="The stored total is the exact sum of the stored positions that count.",
)
def totals_add_up(context: dg.AssetCheckExecutionContext, database: Database) -> dg.AssetCheckResult:
    stored = _stored(database.engine, context.partition_key)
    return dg.AssetCheckResult(
        passed=stored.total_value_usd == stored.totals.value_usd,
        metadata={
            "stored_total_usd": "none" if stored.total_value_usd is None else plain(stored.total_value_usd),
            "sum_of_positions_usd": plain(stored.totals.value_usd),
            "positions": len(stored.positions),
        },
    )


@dg.asset_check(
    asset=portfolio,
    partitions_def=users,
    description="Every chain was read by the last sync; a stale one is a warning, its last known positions stay.",
)
def portfolio_complete(context: dg.AssetCheckExecutionContext, database: Database) -> dg.AssetCheckResult:
    stale = [chain for chain in _stored(database.engine, context.partition_key).chains if chain.status != "fresh"]
    return dg.AssetCheckResult(
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            CHAIN_BY_ID[chain.chain_id].name: f"{chain.status} since "
            f"{rfc3339(chain.synced_at) if chain.synced_at else 'the beginning'}: {chain.error}"
            for chain in stale
        },
    )
