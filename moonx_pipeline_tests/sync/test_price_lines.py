"""Price lines: of what is held and counted, at most once an hour, many coins a call."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.tokens.price_lines import StoredLine, read_lines
from moonx_pipeline.sync.pricing.price_lines import refresh_price_lines, refresh_quietly
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.syncs import portfolio, register, sync

MARKETS = "coins/markets"


def calls(simulator: RunningSimulator) -> int:
    return simulator.requests(f"coingecko {MARKETS}")


def lines(engine: Engine, user_id: str = "ann") -> dict[tuple[int, str], StoredLine]:
    with engine.connect() as connection:
        return {(line.chain_id, line.token): line for line in read_lines(connection, user_id)}


def age_lines(engine: Engine, by: timedelta = timedelta(hours=1, seconds=1)) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE price_lines SET asked_at = asked_at - %(by)s, read_at = read_at - %(by)s", {"by": by}
        )


def held_by(runtime: Runtime) -> None:
    register(runtime.db.engine, "ann", PLAIN_WALLET)
    sync(runtime)


def test_one_call_reads_the_lines_of_all_that_is_counted(
    runtime: Runtime, engine: Engine, simulator: RunningSimulator
) -> None:
    held_by(runtime)
    before = calls(simulator)

    refresh_price_lines(runtime, "ann")

    assert calls(simulator) == before + 1
    found = lines(engine)
    ether = found[1, NATIVE_TOKEN]
    assert len(ether.prices) == 168
    now = next(p.price_usd for p in portfolio(engine).positions if (p.chain_id, p.token) == (1, NATIVE_TOKEN))
    assert (ether.prices[0], ether.prices[-1]) == (now * Decimal("0.9"), now)
    counted = {(p.chain_id, p.token) for p in portfolio(engine).positions if p.not_counted_reason is None}
    assert len(found) > 1
    assert found.keys() <= counted


def test_within_an_hour_nothing_is_asked_again(runtime: Runtime, engine: Engine, simulator: RunningSimulator) -> None:
    held_by(runtime)
    assert refresh_price_lines(runtime, "ann") > 0
    before = calls(simulator)

    assert refresh_price_lines(runtime, "ann") == 0
    assert refresh_price_lines(runtime) == 0
    assert calls(simulator) == before

    age_lines(engine)
    assert refresh_price_lines(runtime) > 0
    assert calls(simulator) == before + 1


def test_a_sync_by_itself_asks_for_no_line(runtime: Runtime, simulator: RunningSimulator) -> None:
    before = calls(simulator)

    held_by(runtime)

    assert calls(simulator) == before


@pytest.mark.parametrize("fault", ["outage", "empty_answer", "null_answer", "no_price"])
def test_an_answer_without_lines_leaves_the_last_ones(
    runtime: Runtime, engine: Engine, simulator: RunningSimulator, fault: str
) -> None:
    held_by(runtime)
    refresh_price_lines(runtime, "ann")
    before = lines(engine)
    age_lines(engine)
    simulator.fault(fault, provider="coingecko", endpoint=MARKETS)

    refresh_quietly(runtime, "ann")

    after = lines(engine)
    assert {key: line.prices for key, line in after.items()} == {key: line.prices for key, line in before.items()}
    assert before
    assert all(after[key].read_at < before[key].read_at for key in before)


def test_a_failure_is_said_and_stops_nothing(runtime: Runtime, simulator: RunningSimulator) -> None:
    held_by(runtime)
    simulator.fault("outage", provider="coingecko", endpoint=MARKETS)

    said = refresh_quietly(runtime, "ann")

    assert said is not None
    assert "coingecko" in said.lower()


def test_a_call_that_failed_is_made_again_after_five_minutes(
    runtime: Runtime, engine: Engine, simulator: RunningSimulator
) -> None:
    held_by(runtime)
    simulator.fault("outage", provider="coingecko", endpoint=MARKETS)
    refresh_quietly(runtime, "ann")
    simulator.simulation.faults.clear()
    before = calls(simulator)

    age_lines(engine, timedelta(minutes=4))
    assert refresh_price_lines(runtime, "ann") == 0
    assert calls(simulator) == before

    age_lines(engine, timedelta(minutes=2))
    assert refresh_price_lines(runtime, "ann") > 0


def test_what_is_not_counted_has_no_line(runtime: Runtime, engine: Engine) -> None:
    held_by(runtime)
    refresh_price_lines(runtime, "ann")
    assert lines(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_token_holdings SET flags = '{price_jump}'")
        connection.exec_driver_sql("DELETE FROM price_lines")

    assert lines(engine) == {}
    assert refresh_price_lines(runtime) == 0


def test_a_user_without_holdings_costs_no_call(runtime: Runtime, simulator: RunningSimulator) -> None:
    before = calls(simulator)

    assert refresh_price_lines(runtime, "nobody") == 0
    assert calls(simulator) == before


def test_an_open_breaker_is_respected(runtime: Runtime, simulator: RunningSimulator) -> None:
    held_by(runtime)
    with runtime.db.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuit_breakers (key, state, failure_count, opened_at, retry_at, cause) "
            "VALUES ('coingecko', 'open', 5, now(), now() + interval '1 hour', 'failures')"
        )
    before = calls(simulator)

    with pytest.raises(ProviderError):
        refresh_price_lines(runtime, "ann")
    assert calls(simulator) == before
