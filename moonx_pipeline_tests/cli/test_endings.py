"""How a command ends when it can't do or can't say what it should: one sentence and the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline_tests.fixtures.database import as_role
from moonx_pipeline_tests.support.commands import ROOT, environment_with, moonx
from moonx_pipeline_tests.support.syncs import register

NOT_UTF8 = os.fsdecode(b"\xff")


def test_a_full_disk_behind_stdout_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "moonx_pipeline", "config"],
            env=environment_with(),
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (1, "moonx: No space left on device.\n")


def test_a_closed_stdout_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m moonx_pipeline config --check >&-', sys.executable],
        env=environment_with(),
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == "moonx: The standard output is closed, so the answer would be lost. Nothing was done.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("portfolio", NOT_UTF8),
        ("sync", NOT_UTF8),
        ("explain", NOT_UTF8),
        ("user", "remove", NOT_UTF8),
        ("pause", "--reason", NOT_UTF8),
        ("events", "tail", "--user", NOT_UTF8),
        ("token", NOT_UTF8),
    ],
)
def test_a_name_that_is_not_utf8_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = moonx(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (2, "moonx: '\\udcff' is not UTF-8. Nothing was done.\n")


def test_a_user_is_found_where_python_knows_no_locale(database_url: str, engine: Engine, tmp_path: Path) -> None:
    register(engine, "ü🦊", PLAIN_WALLET)

    done = subprocess.run(
        [sys.executable, "-m", "moonx_pipeline", "portfolio", "ü🦊"],
        env=environment_with(
            DATABASE_URL=database_url, DAGSTER_HOME=str(ROOT), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
        ),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Never read." in done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "option"), [(("token", "ann", "--hours"), "--hours"), (("simulator", "--latency-ms"), "--latency-ms")]
)
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_number_that_is_none_is_wrong_use(
    arguments: tuple[str, ...], option: str, number: str, tmp_path: Path
) -> None:
    done = moonx(*arguments, number, cwd=tmp_path)

    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_backup_below_a_file_fails_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = moonx("backup", "file/backup", cwd=tmp_path, MOONX_HOME=str(tmp_path / "home"))

    assert done.returncode == 1
    assert done.stderr.endswith("failed: Not a directory. Nothing is left of it.\n")


def test_a_home_that_is_a_file_and_an_empty_secret_are_told_in_a_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()
    no_folder = moonx("token", "ann", cwd=tmp_path, MOONX_HOME=str(home))
    home.unlink()
    home.mkdir()
    (home / "jwt-secret").touch()
    no_secret = moonx("token", "ann", cwd=tmp_path, MOONX_HOME=str(home))

    assert (no_folder.returncode, no_secret.returncode) == (1, 1)
    assert str(home) in no_folder.stderr
    assert no_secret.stderr == f"moonx: '{home / 'jwt-secret'}' is empty: remove it, and a new secret is made.\n"
    assert "Traceback" not in no_folder.stderr + no_secret.stderr


def test_a_statement_that_the_database_refuses_is_told_in_a_sentence(
    database_url: str, engine: Engine, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE sync_pause RENAME TO renamed")
    try:
        done = moonx("pause", "--reason", "why", cwd=tmp_path, DATABASE_URL=database_url, DAGSTER_HOME=str(ROOT))
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE renamed RENAME TO sync_pause")

    assert done.returncode == 1
    assert done.stderr.startswith("moonx: The database did not do what was asked: the driver says: relation ")
    assert len(done.stderr.splitlines()) == 1


def test_a_right_that_a_role_lacks_is_told_with_what_gives_it(database_url: str, tmp_path: Path) -> None:
    url = as_role(database_url, "moonx_relay")

    done = moonx("pause", "--reason", "why", cwd=tmp_path, DATABASE_URL=url, DAGSTER_HOME=str(ROOT))

    assert done.returncode == 1
    assert "its user may not do that" in done.stderr
    assert "'moonx migrate --roles'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_as_ctrl_c_does(ending: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "moonx_pipeline", "simulator", "--port", "0"],
        env=environment_with(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(ending)
        _, errors = process.communicate(timeout=60)

    assert "Traceback" not in errors
    assert process.returncode in (0, 130)
