"""The commands, as an operator types and mistypes them."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, SPAM_WALLET
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.fixtures.database import as_role
from moonx_pipeline_tests.support.commands import ROOT, moonx
from moonx_pipeline_tests.support.full_disk import fill_disk
from moonx_pipeline_tests.support.syncs import register, sync

RIGHT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


@pytest.fixture
def run(database_url: str, tmp_path: Path):
    def command(*arguments: str, **environment: str):
        given = {"DATABASE_URL": database_url, "DAGSTER_HOME": str(ROOT), **environment}
        return moonx(*arguments, cwd=tmp_path, **given)

    return command


def test_a_user_is_registered_listed_and_removed(run, engine: Engine) -> None:
    added = run("user", "add", "ann", RIGHT, RIGHT.lower())
    assert (added.returncode, added.stdout) == (0, "User 'ann' has 1 wallet: 1 new.\n"), added.stderr
    assert run("user", "add", "ann", RIGHT).stdout == "User 'ann' has 1 wallet: 0 new, 1 known before.\n"

    (row,) = json.loads(run("user", "list", "--json").stdout)
    assert (row["userId"], row["wallets"], row["lastSyncAt"]) == ("ann", [RIGHT.lower()], None)
    with engine.connect() as connection:
        partitions = connection.exec_driver_sql("SELECT partition FROM dagster.dynamic_partitions").scalars().all()
    assert partitions == ["ann"]

    assert run("user", "remove", "ann").returncode == 0
    again = run("user", "remove", "ann")
    assert again.returncode == 1
    assert again.stderr == "moonx: There is no user 'ann': 'moonx user list' shows who there is.\n"


def test_a_user_is_registered_where_dagsters_list_of_users_may_not_be_written(run, database_url: str) -> None:
    """As the gateway's role may not: its container has this command, too."""
    done = run("user", "add", "ann", RIGHT, DATABASE_URL=as_role(database_url, "moonx_gateway"))

    assert (done.returncode, done.stdout) == (0, "User 'ann' has 1 wallet: 1 new.\n")
    assert done.stderr.startswith(
        "Dagster's list of users stays as it was, and their first sync adds them: its user may"
    )


def test_a_full_disk_ends_a_command_with_one_sentence(run, engine: Engine) -> None:
    fill_disk(engine, "user_wallets")

    done = run("user", "add", "ann", RIGHT)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "moonx: The database could not be used: its disk is full: free space there, then what failed can be repeated.\n"
    )


def test_a_bad_address_is_refused_with_which_and_why_and_nothing_is_registered(run, engine: Engine) -> None:
    mistyped = RIGHT[:-1] + "D"

    done = run("user", "add", "ann", RIGHT, mistyped, "0x123", "ann.eth")

    assert done.returncode == 2
    for said in (mistyped, "checksum", "'0x123'", "3 digits", "'ann.eth'", "Nothing was registered."):
        assert said in done.stderr
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM user_wallets").scalar_one() == 0


def test_more_wallets_than_allowed_register_none(run, engine: Engine) -> None:
    done = run("user", "add", "ann", *[f"0x{number:040x}" for number in range(21)])

    assert done.returncode == 2
    assert "21 wallets, but 20 are the most" in done.stderr
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM user_wallets").scalar_one() == 0


def test_a_portfolio_is_shown_as_table_json_and_csv(run, engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)

    data = json.loads(run("portfolio", "ann", "--json").stdout)
    assert (data["version"], data["complete"], len(data["chains"])) == (1, True, 5)
    ether = next(p for p in data["positions"] if p["isNative"] and p["chainId"] == 1)
    assert (ether["balance"], ether["amount"], ether["priceUsd"], ether["valueUsd"]) == (
        "1750000000000000000",
        "1.75",
        "2500.1",
        "4375.175",
    )
    table = run("portfolio", "ann").stdout
    assert "Total $17,325.13" in table
    assert "All 5 chains read" in table
    lines = run("portfolio", "ann", "--csv").stdout.splitlines()
    assert len(lines) == 1 + len(data["positions"])


def test_spam_is_shown_only_when_asked_for(run, engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", SPAM_WALLET)
    sync(runtime)

    without = json.loads(run("portfolio", "ann", "--json").stdout)
    with_spam = json.loads(run("portfolio", "ann", "--json", "--spam").stdout)

    assert without["omitted"]["spam"] == len(with_spam["positions"]) - len(without["positions"]) > 2000
    assert without["totalValueUsd"] == with_spam["totalValueUsd"]


def test_an_unknown_user_has_no_portfolio(run) -> None:
    done = run("portfolio", "nobody")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "moonx: There is no user 'nobody': 'moonx user list' shows who there is.\n"


def test_events_are_read_from_the_outbox_where_there_is_no_kafka(run, engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)

    done = run("events", "tail", "--from-beginning", "--json", "-n", "2", "--topic", "sync.events")

    assert [json.loads(line)["eventType"] for line in done.stdout.splitlines()] == ["sync.started", "sync.completed"]


@pytest.mark.parametrize("arguments", [("relay",), ("events", "replay", "--since", "2026-01-01T00:00:00Z")])
def test_what_needs_kafka_says_how_to_name_it(run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.returncode == 2
    assert "set KAFKA_BROKERS" in done.stderr


def test_a_time_that_is_none_is_refused(run) -> None:
    done = run("events", "replay", "--since", "yesterday", KAFKA_BROKERS="h:1")

    assert done.returncode == 2
    assert "'yesterday' is no time in RFC 3339" in done.stderr


def test_migrating_twice_is_fine(run) -> None:
    assert run("migrate").stdout == "The schema is current: nothing to do.\n"
    assert json.loads(run("migrate", "--json").stdout) == {"applied": []}


def test_a_mistyped_command_is_told_the_right_one(tmp_path: Path) -> None:
    done = moonx("portfolo", "ann", cwd=tmp_path)

    assert done.returncode == 2
    assert "Did you mean 'portfolio'?" in done.stderr


def test_the_simulator_says_how_to_use_it_and_ends_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "moonx_pipeline", "simulator", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(8)]
    assert any(line.startswith("export ALCHEMY_DATA_BASE_URL='http://127.0.0.1:") for line in said)
    assert not any(":0/" in line for line in said)

    process.send_signal(signal.SIGINT)

    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_a_bad_key_is_told_once_for_all_chains_with_what_to_check(
    run, engine: Engine, simulator: RunningSimulator
) -> None:
    rejected = open_runtime(
        Settings.from_environment({**simulator.environment(), "ALCHEMY_API_KEY": "bad-key"}), engine
    )
    register(engine, "ann", PLAIN_WALLET)

    outcome = sync(rejected)

    reason = "alchemy refused with status 401, the key is missing or wrong (check its setting): Must be authenticated!"
    chains = "Ethereum, Polygon, Optimism, Arbitrum, Base"
    assert outcome.message == f"Not read: {chains} ({reason})"
    assert f"never read: {chains} ({reason})" in " ".join(run("portfolio", "ann").stdout.split())
    assert simulator.requests("alchemy") == 1
