"""A user's list of wallets as rows."""

from decimal import Decimal

from sqlalchemy import Engine

from moonx_pipeline.domain.flags import BLOCKING_FLAGS, OLD_PRICE
from moonx_pipeline.storage.portfolios.holdings import write_holdings
from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
from moonx_pipeline.storage.portfolios.users import WalletsSet, set_wallets
from moonx_pipeline.storage.syncs.operations import ChainStatusRow, OperationEnd, end_operations
from moonx_pipeline_tests.support.operations import end, status_of
from moonx_pipeline_tests.support.rows import NOON, OTHER_WALLET, WALLET, begin, position, register


def set_(engine: Engine, *wallets: str) -> WalletsSet:
    with engine.begin() as connection:
        return set_wallets(connection, "ann", wallets)


def read_on(engine: Engine, *wallets: str) -> None:
    """As if each wallet had been read on one chain."""
    with engine.begin() as connection:
        end_operations(connection, [], [ChainStatusRow("ann", w, 1, NOON, NOON, None, None, None) for w in wallets])


def test_what_is_left_is_summed_up_as_every_total_is(engine: Engine) -> None:
    register(engine, "ann", WALLET, OTHER_WALLET)
    operation, _ = begin(engine, "ann")
    blocked = [position(10 + n, price="900")._replace(flags=(flag,)) for n, flag in enumerate(sorted(BLOCKING_FLAGS))]
    positions = [
        position(1),
        position(2, price="2")._replace(flags=(OLD_PRICE,)),
        position(3, price=None),
        position(4, price="900", spam=("link_in_name",)),
        *blocked,
        position(5, wallet=OTHER_WALLET, price="7"),
    ]
    with engine.begin() as connection:
        write_holdings(connection, {"ann": positions})
    end(engine, operation, total_value_usd=Decimal(1000))
    read_on(engine, WALLET, OTHER_WALLET)

    assert set_(engine, WALLET) == WalletsSet((), (OTHER_WALLET,), 2)

    with engine.connect() as connection:
        left = read_portfolio(connection, "ann")
    assert left is not None
    assert left.total_value_usd == left.totals.value_usd == Decimal("8.75")


def test_a_user_of_whom_a_sync_runs_stays_running_until_it_ends(engine: Engine) -> None:
    register(engine, "ann", WALLET)
    operation, _ = begin(engine, "ann")

    set_(engine)

    assert status_of(engine, "ann").sync_status == "running"
    ended = {"status": "cancelled", "chains_synced": 0, "total_value_usd": None, "version": 0}
    end(engine, operation, **ended)
    assert status_of(engine, "ann").sync_status == "never"


def test_a_change_outdates_syncs_that_opened_before_and_none_that_opens_after(engine: Engine) -> None:
    register(engine, "ann", WALLET)
    _, before = begin(engine, "ann")

    set_(engine, WALLET, OTHER_WALLET)

    stored = status_of(engine, "ann").stored_fence
    _, after = begin(engine, "ann")
    assert before < stored < after


def test_who_stays_as_he_is_keeps_his_next_time(engine: Engine) -> None:
    register(engine, "ann", WALLET, OTHER_WALLET)
    before = status_of(engine, "ann")

    assert set_(engine, OTHER_WALLET, WALLET, WALLET) == WalletsSet((), (), None)

    assert status_of(engine, "ann") == before


def test_a_failure_of_wallets_that_are_gone_is_forgotten_with_them(engine: Engine) -> None:
    register(engine, "ann", WALLET)
    operation, _ = begin(engine, "ann")
    with engine.begin() as connection:
        failed = OperationEnd(operation, "ann", "failed", NOON, 5, 0, error_message="All is dark.", failures=1)
        end_operations(connection, [failed])

    set_(engine, OTHER_WALLET)

    row = status_of(engine, "ann")
    assert (row.sync_status, row.last_error_message, row.last_error_at) == ("never", None, None)
