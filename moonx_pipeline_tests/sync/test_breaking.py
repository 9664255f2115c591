"""What outages, refusals and limits do to syncs: nothing is asked in vain, nothing is lost, and it is told once."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.protection.breaker_rows import breakers
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.sync.protection.breakers import reset
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline.sync.spec import SyncRefused
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.syncs import alerts, events, held, operation, portfolio, register, status, sync


def sources_with(simulator: RunningSimulator, engine: Engine, **changes: str) -> Runtime:
    """The clients of another process, under other settings."""
    environment = {**simulator.environment(), **FAST, **UNLIMITED, **changes}
    return open_runtime(Settings.from_environment(environment), engine)


def states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {row.key: row.state for row in breakers(connection)}


def alerted(engine: Engine) -> list[tuple[str, str]]:
    return [(alert["alertType"], alert["service"]) for alert in alerts(engine)]


def pass_the_time_of(engine: Engine, *keys: str) -> None:
    """As if the time for which breakers are open were over."""
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE circuit_breakers SET retry_at = now() WHERE key = ANY(%s)", (list(keys),))


def polygon_goes_down(simulator: RunningSimulator) -> None:
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")


def test_a_chain_that_keeps_failing_keeps_its_holdings_until_a_probe_succeeds(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    sync(runtime)
    whole = held(engine)
    polygon_goes_down(simulator)
    for _ in range(4):
        assert sync(runtime).status == "partial"
    assert states(engine) == {"alchemy:137": "closed"}
    sync(runtime)
    assert states(engine) == {"alchemy:137": "open"}
    simulator.simulation.faults.requests.clear()

    outcome = sync(runtime)

    assert outcome.status == "partial"
    assert "The circuit breaker 'alchemy:137' is open since" in outcome.message
    assert outcome.retry_at is not None
    assert simulator.requests("alchemy") == 1  # the four other chains, together
    assert held(engine) == whole
    polygon = next(chain for chain in portfolio(engine).chains if chain.chain_id == 137)
    assert polygon.status == "stale"
    assert next(call for call in operation(engine).chains if call["outcome"] == "skipped")["chainId"] == 137

    simulator.simulation.faults.clear()
    pass_the_time_of(engine, "alchemy:137")
    assert sync(runtime).status == "completed"
    assert states(engine) == {"alchemy:137": "closed"}
    assert alerted(engine) == [("circuit_breaker_open", "alchemy:137"), ("circuit_breaker_closed", "alchemy:137")]


def test_one_sync_in_many_is_the_probe_and_a_failing_one_is_no_news(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    users = [f"user{number}" for number in range(6)]
    for user in users:
        register(engine, user, POLYGON_WALLET)
    polygon_goes_down(simulator)
    for user in users[:5]:
        sync(runtime, user)
    pass_the_time_of(engine, "alchemy:137")
    simulator.simulation.faults.requests.clear()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda user: sync(runtime, user), users))

    assert states(engine) == {"alchemy:137": "open"}
    assert simulator.requests("alchemy eth_getBalance") == 3  # one probe, with its repeats
    assert alerted(engine) == [("circuit_breaker_open", "alchemy:137")]


def test_a_success_in_between_starts_the_count_anew(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", POLYGON_WALLET)
    for _ in range(3):
        polygon_goes_down(simulator)
        for _ in range(4):
            sync(runtime)
        simulator.simulation.faults.clear()
        sync(runtime)

    assert states(engine) == {"alchemy:137": "closed"}
    assert alerted(engine) == []


@pytest.mark.parametrize(
    ("fault", "alert"), [("bad_key", "provider_key_rejected"), ("quota", "provider_quota_exhausted")]
)
def test_a_rejected_key_or_exhausted_plan_opens_for_long_with_one_alert(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, fault: str, alert: str
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    simulator.fault(fault)

    assert sync(runtime).status == "failed"

    assert {states(engine)[f"alchemy:{chain.id}"] for chain in DEFAULT_CHAINS} == {"open"}
    assert alerted(engine) == [(alert, "alchemy")]
    with engine.connect() as connection:
        minutes = connection.exec_driver_sql(
            "SELECT min(extract(epoch FROM retry_at - now()) / 60)::int FROM circuit_breakers"
        ).scalar_one()
    assert minutes >= 10
    simulator.simulation.faults.clear()
    simulator.simulation.faults.requests.clear()
    assert sync(runtime, "bob").status == "failed"
    assert simulator.requests("alchemy") == 0

    assert len(reset(engine, [f"alchemy:{chain.id}" for chain in DEFAULT_CHAINS])) == len(DEFAULT_CHAINS)
    assert sync(runtime, "bob").status == "completed"


def test_a_shared_api_that_is_down_is_left_aside_for_the_one_behind_it(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    simulator.fault("outage", endpoint="balances/by-address")
    for _ in range(5):
        assert sync(runtime).status == "completed"
    assert states(engine) == {"alchemy:data": "open"}
    simulator.simulation.faults.requests.clear()

    assert sync(runtime).status == "completed"

    assert simulator.requests("alchemy balances/by-address") == 0


def test_a_price_source_that_is_down_is_not_asked_and_the_next_one_is(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("outage", provider="binance")
    for _ in range(5):
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM token_evidence")
        sync(runtime)
    assert states(engine) == {"binance": "open"}
    simulator.simulation.faults.requests.clear()

    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM token_evidence")
    assert sync(runtime).status == "completed"

    assert simulator.requests("binance") == 0
    assert all(p.price_usd is not None for p in portfolio(engine).positions if p.symbol == "ETH")
    assert {p.price_source for p in portfolio(engine).positions if p.symbol == "ETH"} == {"coingecko"}


def test_a_user_whose_own_data_breaks_his_syncs_is_left_alone_and_no_other(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE user_token_holdings ADD CONSTRAINT hostile CHECK (user_id <> 'ann')")
    for _ in range(5):
        with pytest.raises(Exception, match="hostile"):
            sync(runtime)
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
    calls = simulator.requests()
    operation_id = uuid.uuid4()

    with pytest.raises(SyncRefused, match="moonx breaker reset user:ann") as refused:
        sync(runtime, operation_id=operation_id, request_id=request)

    assert refused.value.retry_at is not None
    assert simulator.requests() == calls
    assert states(engine) == {"user:ann": "open"}
    assert alerted(engine) == [("circuit_breaker_open", "user:ann")]
    told = events(engine)[-1]
    jsonschema.validate(told, event_schemas()["sync.failed"], cls=jsonschema.Draft202012Validator)
    assert (told["data"]["syncOperationId"], told["data"]["error"]["code"]) == (str(operation_id), "breaker_open")
    assert told["data"]["error"]["retryAt"] is not None
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT status FROM sync_requests").scalar_one() == "refused"
        assert (
            connection.exec_driver_sql("SELECT status FROM sync_operations WHERE id = %s", (operation_id,)).scalar_one()
            == "refused"
        )
    assert status(engine).sync_status == "failed"
    assert sync(runtime, "bob").status == "completed"

    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE user_token_holdings DROP CONSTRAINT hostile")
    pass_the_time_of(engine, "user:ann")
    assert sync(runtime).status == "completed"
    assert states(engine) == {"user:ann": "closed"}


def test_an_outage_of_providers_is_never_the_users_fault(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("outage")
    for _ in range(7):
        assert sync(runtime).status == "failed"

    assert "user:ann" not in states(engine)


def test_breakers_can_be_switched_off(engine: Engine, simulator: RunningSimulator) -> None:
    runtime = sources_with(simulator, engine, ENABLE_CIRCUIT_BREAKER="false")
    register(engine, "ann", POLYGON_WALLET)
    polygon_goes_down(simulator)
    for _ in range(7):
        sync(runtime)

    assert states(engine) == {}


def test_a_call_that_the_syncs_deadline_cut_short_says_nothing_of_its_provider(
    engine: Engine, simulator: RunningSimulator
) -> None:
    runtime = sources_with(simulator, engine, WORKER_TIMEOUT="5000", WORKER_CIRCUIT_BREAKER_THRESHOLD="1")
    register(engine, "ann", PLAIN_WALLET)
    simulator.fault("hang", endpoint="tokens/by-address")
    simulator.fault("hang", endpoint="eth_getBalance")

    assert sync(runtime).status == "failed"

    # The first call had its full two seconds; the chains were asked in what was left of three.
    assert states(engine) == {"alchemy:data": "open"}


def test_the_limit_of_requests_holds_over_processes_and_nothing_is_sent_beyond(
    engine: Engine, simulator: RunningSimulator
) -> None:
    one, other = (sources_with(simulator, engine, ALCHEMY_RATE_LIMIT_RPM="2") for _ in range(2))
    register(engine, "ann", PLAIN_WALLET)
    sync(one, trigger="schedule")
    sync(other, trigger="schedule")
    assert simulator.requests("alchemy") == 2

    outcome = sync(one, trigger="schedule")

    assert (outcome.status, simulator.requests("alchemy")) == ("failed", 2)
    assert "its rate limit is used up until" in outcome.message
    assert outcome.retry_at is not None
    assert states(engine) == {}  # the provider is well


def test_compute_units_are_a_limit_of_their_own(engine: Engine, simulator: RunningSimulator) -> None:
    # 600 in ten seconds, and no time to wait for the next ones.
    limited = {"ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND": "60", "WORKER_TIMEOUT": "5000"}
    runtime = sources_with(simulator, engine, **limited)
    register(engine, "ann", PLAIN_WALLET)
    for _ in range(2):  # 360 with metadata, then 200
        assert sync(runtime, trigger="schedule").status == "completed"

    outcome = sync(runtime, trigger="schedule")

    assert outcome.status == "failed"
    assert "its rate limit is used up" in outcome.message
    assert simulator.simulation.faults.compute_units <= 600


def test_what_a_provider_refuses_to_one_process_no_other_asks(engine: Engine, simulator: RunningSimulator) -> None:
    one, other = sources_with(simulator, engine), sources_with(simulator, engine)
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    simulator.fault("rate_limit", params={"retry_after": 3600})
    simulator.fault("banned", provider="binance")
    sync(one)
    calls = simulator.requests("alchemy"), simulator.requests("binance")
    simulator.simulation.faults.clear()

    outcome = sync(other, "bob")

    assert outcome.status == "failed"
    assert (simulator.requests("alchemy"), simulator.requests("binance")) == calls
    assert outcome.retry_at is not None
    with engine.connect() as connection:
        blocked = dict(
            connection.exec_driver_sql(
                "SELECT key, round(extract(epoch FROM blocked_until - now()))::int FROM rate_limits "
                "WHERE blocked_until > now()"
            ).all()
        )
    assert 3590 <= blocked["alchemy"] <= 3600
