"""Writing holdings."""

from sqlalchemy import Engine

from moonx_pipeline.storage.portfolios.holdings import HoldingsChange, write_holdings


def write(engine: Engine, user_id: str, *positions) -> HoldingsChange:
    with engine.begin() as connection:
        return write_holdings(connection, {user_id: positions})
