"""The portfolio by HTTP: its shape, its version as ETag, its parts, and what looking at it causes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.events import rfc3339
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET
from moonx_pipeline.sync.pricing.price_lines import refresh_price_lines
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline.views.people import chain_sentence
from moonx_pipeline_tests.fixtures.dagster import eventually
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess, token_of
from moonx_pipeline_tests.support.gateway_syncs import sync


@pytest.fixture
def ann(gateway: GatewayProcess, settings: Settings) -> str:
    """A user whose portfolio was read a moment ago."""
    user_id = gateway.register(f"ann-{uuid4()}", PLAIN_WALLET)
    sync(gateway, settings, user_id)
    return user_id


def requests_of(engine: Engine, user_id: str) -> list[tuple[str, str, str]]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT source, priority, status FROM sync_requests WHERE user_id = %s ORDER BY created_at", (user_id,)
        )
        return [tuple(row) for row in rows]


def aged(engine: Engine, user_id: str, minutes: int) -> None:
    """Moves all that was done for a user into the past."""
    past = timedelta(minutes=minutes)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE user_sync_status SET last_sync_at = last_sync_at - %s WHERE user_id = %s", (past, user_id)
        )
        connection.exec_driver_sql(
            "UPDATE sync_operations SET started_at = started_at - %s WHERE user_id = %s", (past, user_id)
        )


def test_positions_add_up_to_the_total_and_no_number_is_a_float(gateway: GatewayProcess, ann: str) -> None:
    data = gateway.get("/portfolio", ann)

    counted = [Decimal(p["valueUsd"]) for p in data["positions"] if p["isCounted"]]
    assert sum(counted) == Decimal(data["totalValueUsd"]) > 0
    assert (data["userId"], data["version"], data["complete"]) == (ann, 1, True)
    assert [chain["chainId"] for chain in data["chains"]] == [1, 137, 10, 42161, 8453]
    assert all((p["notCountedReason"] is None) == p["isCounted"] for p in data["positions"])
    assert not any(isinstance(value, float) for p in data["positions"] for value in p.values())


def test_the_etag_shows_the_version_and_what_did_not_change_is_not_sent(gateway: GatewayProcess, ann: str) -> None:
    first = gateway.ask("GET", "/api/v1/portfolio", token_of(ann))
    tag = first.headers["ETag"]
    assert tag.startswith('W/"1-')

    for known in (tag, tag.removeprefix("W/"), f'W/"0", {tag}', "*"):
        again = gateway.ask("GET", "/api/v1/portfolio", token_of(ann), headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    other = gateway.ask("GET", "/api/v1/portfolio", token_of(ann), headers={"If-None-Match": '"2"'})
    assert other.status_code == 200


def test_it_can_be_narrowed_while_its_totals_stay_whole(gateway: GatewayProcess, ann: str) -> None:
    whole, part = gateway.get("/portfolio", ann), gateway.get("/portfolio", ann, chainIds="137,8453", minValue="300")

    assert {p["chainId"] for p in part["positions"]} == {137, 8453}
    assert all(Decimal(p["valueUsd"]) >= 300 for p in part["positions"] if p["valueUsd"])
    assert part["totalValueUsd"] == whole["totalValueUsd"]
    quick = gateway.get("/portfolio/quick", ann)
    assert quick["totalValueUsd"] == whole["totalValueUsd"]
    shares = [Decimal(p["allocationPercent"]) for p in gateway.get("/portfolio/holdings", ann)["positions"]
              if p["allocationPercent"]]  # fmt: skip
    assert abs(sum(shares) - 100) < Decimal("0.1")


def test_spam_is_there_only_for_those_who_ask(gateway: GatewayProcess, settings: Settings) -> None:
    user_id = gateway.register(f"spam-{uuid4()}", SPAM_WALLET)
    sync(gateway, settings, user_id)

    plain = gateway.ask("GET", "/api/v1/portfolio", token_of(user_id))
    whole = gateway.ask("GET", "/api/v1/portfolio", token_of(user_id), params={"includeSpam": "true"})

    shown, hidden = plain.json()["data"]["positions"], whole.json()["data"]["positions"]
    assert not any(p["isSpam"] for p in shown)
    assert len(hidden) - len(shown) == plain.json()["data"]["omitted"]["spam"] > 0
    assert {p["notCountedReason"] for p in hidden if p["isSpam"]} == {"spam"}
    assert whole.headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [({"chainIds": "31337"}, "31337"), ({"chainIds": "one"}, "chainIds"), ({"minValue": "-1"}, "minValue"),
     ({"minValue": "NaN"}, "minValue"), ({"includeSpam": "perhaps"}, "includeSpam")],
)  # fmt: skip
def test_a_parameter_that_can_not_be_used_is_named(
    gateway: GatewayProcess, parameters: dict[str, str], field: str
) -> None:
    answer = gateway.ask("GET", "/api/v1/portfolio", token_of("ann"), params=parameters)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_request"
    assert field in answer.json()["error"]["message"]


def test_the_csv_has_a_line_a_position(gateway: GatewayProcess, ann: str) -> None:
    answer = gateway.ask("GET", "/api/v1/portfolio.csv", token_of(ann))

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    positions = gateway.get("/portfolio", ann)["positions"]
    assert [row["balance"] for row in rows] == [p["balance"] for p in positions]
    assert [row["isCounted"] for row in rows] == [str(p["isCounted"]) for p in positions]
    assert list(rows[0])[-2:] == ["isCounted", "notCountedReason"]


def test_the_history_tells_what_each_sync_read(gateway: GatewayProcess, ann: str) -> None:
    history = gateway.get("/portfolio/history", ann, days=1)

    (point,) = history["points"]
    assert point["totalValueUsd"] == gateway.get("/portfolio", ann)["totalValueUsd"]
    assert point["omitted"] == gateway.get("/portfolio", ann)["omitted"]
    assert history["before"] is None
    (added,) = history["walletsAdded"]
    assert added["walletAddress"] in {p["walletAddress"] for p in gateway.get("/portfolio", ann)["positions"]}
    assert added["at"] < point["at"]


def test_looking_at_what_was_never_read_asks_for_one_sync_and_no_more(gateway: GatewayProcess) -> None:
    user_id = gateway.register(f"new-{uuid4()}", PLAIN_WALLET)

    for _ in range(3):
        data = gateway.get("/portfolio", user_id)
    assert (data["asOf"], data["version"], data["positions"]) == (None, 0, [])

    eventually(lambda: _assert_requests(gateway, user_id, [("login", "high", "pending")]))
    assert gateway.get("/sync/status", user_id)["remainingRequests"] == 5


def test_looking_at_what_is_old_asks_for_a_sync_and_at_what_is_fresh_does_not(
    gateway: GatewayProcess, ann: str
) -> None:
    gateway.get("/portfolio", ann)
    aged(gateway.engine, ann, 6)

    gateway.ask("GET", "/api/v1/portfolio", token_of(ann), headers={"If-None-Match": '"1"'})

    eventually(lambda: _assert_requests(gateway, ann, [("login", "medium", "pending")]))


def _assert_requests(gateway: GatewayProcess, user_id: str, expected: list[tuple[str, str, str]]) -> None:
    assert requests_of(gateway.engine, user_id) == expected


def test_somebody_without_wallets_has_an_empty_portfolio(gateway: GatewayProcess) -> None:
    data = gateway.get("/portfolio", "never-seen-before")

    assert (data["totalValueUsd"], data["complete"], data["chains"], data["positions"]) == ("0", False, [], [])
    assert gateway.get("/sync/status", "never-seen-before")["syncStatus"] == "never"
    assert gateway.get("/portfolio/history", "never-seen-before")["points"] == []


def test_a_chain_that_failed_is_stale_in_the_answer_with_its_time(
    gateway: GatewayProcess, settings: Settings, simulator: RunningSimulator, ann: str
) -> None:
    before = datetime.now(UTC)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("outage", network="polygon-mainnet", endpoint="eth_getBalance")
    simulator.fault("outage", network="polygon-mainnet", endpoint="alchemy_getTokenBalances")
    sync(gateway, settings, ann)

    data = gateway.get("/portfolio", ann)
    polygon = next(chain for chain in data["chains"] if chain["chainId"] == 137)
    assert (polygon["status"], data["omitted"]["staleChains"], data["complete"]) == ("stale", [137], False)
    assert polygon["error"] == chain_sentence(polygon["errorCode"])
    for path in ("/portfolio", "/sync/status", "/sync/operations"):
        assert "lchemy" not in str(gateway.get(path, ann))
    shown = gateway.ask("GET", "/api/v1/portfolio", token_of(ann, role="admin")).json()["data"]["chains"]
    assert "lchemy" in next(chain["error"] for chain in shown if chain["chainId"] == 137)
    assert polygon["syncedAt"] < rfc3339(before)
    assert all(p["stale"] == (p["chainId"] == 137) for p in data["positions"])
    assert data["version"] == 2


def test_the_price_lines_are_of_what_is_counted(gateway: GatewayProcess, settings: Settings, ann: str) -> None:
    assert gateway.get("/portfolio/price-lines", ann) == {"lines": []}

    refresh_price_lines(open_runtime(settings, gateway.engine), ann)

    lines = gateway.get("/portfolio/price-lines", ann)["lines"]
    positions = gateway.get("/portfolio", ann)["positions"]
    counted = {(one["chainId"], one["tokenAddress"]): one for one in positions if one["isCounted"]}
    assert len(lines) > 1
    for line in lines:
        held = counted[line["chainId"], line["tokenAddress"]]
        assert Decimal(line["prices"][-1]) == Decimal(held["priceUsd"]) or held["priceSource"] != "coingecko"
        assert len(line["prices"]) == 168
