"""``moonx plan``: what so many users cost."""

import json
from pathlib import Path

from moonx_pipeline_tests.support.commands import moonx


def test_plan_of_a_thousand_users_shows_each_way_with_its_price(tmp_path: Path) -> None:
    done = moonx("plan", "1000", cwd=tmp_path, COLUMNS="120")

    assert done.returncode == 0, done.stderr
    assert "1,000 users with 1 wallet of 25 tokens on 5 chains, read 160 times a day" in done.stdout
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[2:5]] == [
        "in bulk",
        "lists only",
        "your own nodes",
    ]
    assert "61 rows a sync, 296.7 million a month; about 9.5 GB kept." in done.stdout


def test_plan_beyond_the_limit_a_second_says_so(tmp_path: Path) -> None:
    done = moonx("plan", "100000", cwd=tmp_path, COLUMNS="200")

    assert "lists only: more than ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND (500) allows" in done.stdout


def test_plan_by_a_contracts_prices_has_their_total(tmp_path: Path) -> None:
    given = {"ALCHEMY_COMPUTE_UNIT_PRICES": "1"}
    ways = json.loads(moonx("plan", "1000", "--json", cwd=tmp_path, **given).stdout)

    database = ways.pop("database")
    assert ways.keys() == {"in_bulk", "lists_only"}
    assert int(database["rowsAMonthAtMost"]) == int(database["rowsASyncAtMost"]) * 1000 * 160 * 30.4
    assert int(database["megabytesKept"]) < 10 * 1000
    for way in ways.values():
        assert abs(float(way["usdAMonth"]) - int(way["computeUnitsAMonth"]) / 1_000_000) < 0.01


def test_plan_by_a_price_list_that_is_none_names_the_setting(tmp_path: Path) -> None:
    for wrong in ("30:0", "0.4,30:0", "30:0,20:1,1", "a", "1:-1,2"):
        done = moonx("plan", "10", cwd=tmp_path, ALCHEMY_COMPUTE_UNIT_PRICES=wrong)

        assert done.returncode == 2
        assert "ALCHEMY_COMPUTE_UNIT_PRICES" in done.stderr
