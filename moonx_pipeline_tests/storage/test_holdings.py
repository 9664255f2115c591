from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.portfolio import MAX_BALANCE
from moonx_pipeline.storage.portfolios.holdings import HoldingsChange, snapshot_holdings, stored_states
from moonx_pipeline.storage.portfolios.portfolio import read_portfolio
from moonx_pipeline_tests.support.holdings import write
from moonx_pipeline_tests.support.rows import NOON, OTHER_WALLET, WALLET, begin, position, register, token


def read(engine: Engine, user_id: str):
    with engine.connect() as connection:
        stored = read_portfolio(connection, user_id)
    assert stored is not None
    return stored.positions


def test_writing_the_same_positions_again_touches_no_row(engine: Engine) -> None:
    register(engine, "ann")
    positions = [position(n) for n in range(1, 4)]

    assert write(engine, "ann", *positions) == HoldingsChange(3, 0, 0)
    assert write(engine, "ann", *positions) == HoldingsChange(0, 0, 0)


def test_only_what_changed_is_rewritten_and_what_is_gone_is_deleted(engine: Engine) -> None:
    register(engine, "ann")
    write(engine, "ann", position(1), position(2), position(3))

    assert write(engine, "ann", position(1), position(2, price="1.6"), position(4)) == HoldingsChange(1, 1, 1)
    assert {p.token: p.price_usd for p in read(engine, "ann")} == {
        token(1): Decimal("1.5"),
        token(2): Decimal("1.6"),
        token(4): Decimal("1.5"),
    }


def test_a_write_of_one_user_leaves_the_others_alone(engine: Engine) -> None:
    register(engine, "ann")
    register(engine, "bob")
    write(engine, "ann", position(1))
    write(engine, "bob", position(2))

    write(engine, "ann")

    assert read(engine, "ann") == ()
    assert [p.token for p in read(engine, "bob")] == [token(2)]


def test_an_empty_portfolio_is_stored_as_empty(engine: Engine) -> None:
    register(engine, "ann")

    assert write(engine, "ann") == HoldingsChange(0, 0, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    balance=st.one_of(st.integers(1, MAX_BALANCE), st.just(MAX_BALANCE), st.just(1)),
    decimals=st.one_of(st.none(), st.integers(0, 77)),
    price=st.one_of(st.none(), st.decimals(0, 10**12, places=18).map(str), st.just("0.000000000000000000000001")),
    symbol=st.one_of(
        st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
    ),
)
def test_every_number_and_name_comes_back_exactly(engine: Engine, balance, decimals, price, symbol) -> None:
    register(engine, "ann")
    written = position(7, balance=balance, decimals=decimals, price=price, symbol=symbol)

    write(engine, "ann", written)

    (stored,) = read(engine, "ann")
    assert stored._replace(stale=False) == written


def test_spam_keeps_its_reasons_and_stays_out_of_history(engine: Engine) -> None:
    register(engine, "ann")
    operation, _ = begin(engine, "ann")
    write(engine, "ann", position(1), position(2, spam=("link_in_name",)))

    with engine.begin() as connection:
        snapshot_holdings(connection, [("ann", operation, "manual")], NOON)
        history = connection.exec_driver_sql(
            "SELECT token_address, balance, value_usd, snapshot_type, sync_operation_id, created_at "
            "FROM user_token_holdings_history"
        ).all()

    assert history == [(token(1), 2_500_000, Decimal("3.75"), "manual", operation, NOON)]
    assert {p.token: p.spam_reasons for p in read(engine, "ann")} == {token(1): (), token(2): ("link_in_name",)}


def test_stored_state_has_the_asked_wallets_and_chains_only(engine: Engine) -> None:
    register(engine, "ann", WALLET, OTHER_WALLET)
    write(
        engine,
        "ann",
        position(1, chain_id=1, balance=5),
        position(2, chain_id=137, balance=6),
        position(3, wallet=OTHER_WALLET, chain_id=137, balance=7),
    )

    with engine.connect() as connection:
        states = stored_states(connection, {"ann": [(WALLET, 137), (WALLET, 10)], "nobody": [(WALLET, 137)]})

    (state,) = states.values()
    assert list(states) == ["ann"]
    assert state.balances == {(WALLET, 137): {token(2): 6}}
    assert state.last_success == {}


def test_history_of_a_month_without_a_partition_is_kept_and_moves_into_it_later(engine: Engine) -> None:
    register(engine, "ann")
    operation, _ = begin(engine, "ann")
    write(engine, "ann", position(1))
    with engine.begin() as connection:
        snapshot_holdings(connection, [("ann", operation, "sync")], NOON.replace(year=2031))
        created = connection.exec_driver_sql("SELECT ensure_history_partitions('2031-03-01', 2)").scalar_one()
        again = connection.exec_driver_sql("SELECT ensure_history_partitions('2031-03-01', 2)").scalar_one()
        moved = connection.exec_driver_sql("SELECT count(*) FROM user_token_holdings_history_2031_03").scalar_one()
        left = connection.exec_driver_sql("SELECT count(*) FROM user_token_holdings_history_other").scalar_one()
        whole = connection.exec_driver_sql("SELECT count(*) FROM user_token_holdings_history").scalar_one()

    assert (created, again, moved, left, whole) == (2, 0, 1, 0, 1)
