"""Changes a user's wallets: forgets removed ones, writes the events, and asks for a sync that reads the new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.events import Event, SyncRef, portfolio_updated
from moonx_pipeline.domain.valuation import totals_of
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
from moonx_pipeline.storage.portfolios.users import WalletsSet, set_wallets, wallets_of
from moonx_pipeline.storage.syncs.outbox import insert_events
from moonx_pipeline.sync.requests.ask import SyncRequestResult, ask_for_sync, briefly


class WalletsChange(NamedTuple):
    """The result of a change of a user's wallets.

    Attributes:
        wallets: All of them now, the first registered first.
        added: New wallets.
        removed: Removed wallets.
        request: The answer to the request for the sync that follows, refused past the limit; ``None`` if nothing
            changed or no wallet is left.
    """

    wallets: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    request: SyncRequestResult | None


def change_wallets(
    engine: Engine,
    settings: Settings,
    user_id: str,
    wallets: Sequence[str],
    *,
    is_base: Callable[[Sequence[str]], bool] = lambda _: True,
) -> WalletsChange:
    """Replaces a user's wallets, and asks for a sync if they changed and any are left.

    The sync is urgent, within a limit of such changes; past that, the wallets are read by the next unattended sync.

    Args:
        engine: The pipeline's database.
        settings: Settings with how often to retry while the database is away.
        user_id: The user; an unknown one is registered.
        wallets: Checked addresses in lower case, no more than ``MAX_WALLETS``.
        is_base: Whether the list about to be replaced is the one that this change was based on.

    Raises:
        WalletsChanged: It is not; nothing was changed.
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
    request = ask_for_sync(engine, settings, user_id, source="wallets", priority="high", limited=True) if asks else None
    return WalletsChange(left, changed.added, changed.removed, request)


def _updated(connection: Connection, user_id: str, wallets: Sequence[str], version: int) -> Event:
    """The event with what is left of the portfolio. No sync made this version, so the change stands in for one."""
    now = utc_now()
    stored = read_portfolio(connection, user_id)
    return portfolio_updated(
        SyncRef(uuid4(), user_id, wallets[0] if wallets else None, "manual", now),
        version=version,
        at=now,
        duration_ms=0,
        positions=stored.positions if stored else (),
        totals=stored.totals if stored else totals_of((), ()),
    )
