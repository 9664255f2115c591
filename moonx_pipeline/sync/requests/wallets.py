"""Changing a user's wallets: what is forgotten, what is told of it, and the sync that reads the new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, Engine

from moonx_pipeline.domain.events import Event, SyncRef, portfolio_updated
from moonx_pipeline.domain.valuation import totals_of
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
from moonx_pipeline.storage.portfolios.users import WalletsSet, set_wallets, wallets_of
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.requests.ask import Asked, ask_for_sync, briefly


class WalletsChange(NamedTuple):
    """What became of a user's wallets.

    Attributes:
        wallets: All of them now, the first registered first.
        added: Those that are new.
        removed: Those that are gone.
        request: For the sync that follows; ``None`` if nothing changed, or no wallet is left.
    """

    wallets: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    request: Asked | None


def change_wallets(
    engine: Engine,
    settings: Settings,
    user_id: str,
    wallets: Sequence[str],
    *,
    is_base: Callable[[Sequence[str]], bool] = lambda _: True,
) -> WalletsChange:
    """Makes a user's wallets those of a list, and asks for a sync where that changed them and any is left.

    The sync is urgent, and takes none of what the person may ask for.

    Args:
        engine: The pipeline's database.
        settings: For how often a step is done again where the database is away.
        user_id: Whose; one who was never seen is registered.
        wallets: Checked addresses in lower case, no more than ``MAX_WALLETS``.
        is_base: Whether the list that is about to be replaced is the one that this change began with.

    Raises:
        WalletsChanged: It is not, and nothing was changed.
    """

    def change() -> tuple[tuple[str, ...], WalletsSet]:
        with engine.begin() as connection:
            changed = set_wallets(connection, user_id, wallets, is_base=is_base)
            left = wallets_of(connection, user_id)
            if changed.version is not None:
                insert_events(connection, [_updated(connection, user_id, left, changed.version)])
            return left, changed

    left, changed = briefly(settings, change)
    asks = bool(left) and bool(changed.added or changed.removed)
    request = ask_for_sync(engine, settings, user_id, source="login", priority="high", limited=False) if asks else None
    return WalletsChange(left, changed.added, changed.removed, request)


def _updated(connection: Connection, user_id: str, wallets: Sequence[str], version: int) -> Event:
    """What is left of the portfolio. No sync made this version, so the change itself stands for one."""
    now = datetime.now(UTC)
    stored = read_portfolio(connection, user_id)
    return portfolio_updated(
        SyncRef(uuid4(), user_id, wallets[0] if wallets else None, "manual", now),
        version=version,
        at=now,
        duration_ms=0,
        positions=stored.positions if stored else (),
        totals=stored.totals if stored else totals_of((), ()),
    )
