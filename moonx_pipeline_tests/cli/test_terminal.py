"""What commands print, on a terminal too: text from outside is shown, and never steers the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.cli import terminal
from moonx_pipeline.domain.show import visible
from moonx_pipeline.simulator.world import PLAIN_WALLET
from moonx_pipeline.storage.requests.pause import pause
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.commands import ROOT, environment_with
from moonx_pipeline_tests.support.forked import start_module
from moonx_pipeline_tests.support.syncs import register, sync

HOSTILE = "\x1b]0;title\x07 \x9b31m \u202eDCBA\u2028 [/x] [inc-1]"
SPELLED = r"\u001b]0;title\u0007 \u009b31m \u202eDCBA\u2028 [/x] [inc-1]"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TAKES_EFFECT = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def on_terminal(database_url: str, tmp_path: Path) -> Callable[..., str]:
    """Runs a command on a terminal of its own; returns what the terminal was sent, without Rich's colours."""

    def run(*arguments: str, columns: int = 200) -> str:
        ours, theirs = pty.openpty()
        environment = environment_with(
            DATABASE_URL=database_url, DAGSTER_HOME=str(ROOT), COLUMNS=str(columns), TERM="xterm"
        )
        with os.fdopen(theirs, "wb") as screen:
            start_module("moonx_pipeline", *arguments, env=environment, cwd=tmp_path, stdout=screen, stderr=screen)
        received = b""
        with suppress(OSError):  # Linux says so that the other side is closed
            while part := os.read(ours, 65536):
                received += part
        os.close(ours)
        return _COLOUR.sub("", received.decode()).replace("\r\n", "\n")

    return run


@given(st.text())
def test_a_visible_text_takes_no_effect_and_loses_nothing(text: str) -> None:
    shown = visible(text)

    assert _TAKES_EFFECT.search(shown) is None
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == json.loads(json.dumps(text))


def test_a_console_takes_strings_as_text_and_spells_out_what_takes_effect(capsys: pytest.CaptureFixture[str]) -> None:
    console = terminal.open_console(piped_width=200)
    console.print(HOSTILE)
    terminal.print_rows(console, ("first", "second"), [(HOSTILE, HOSTILE)])

    said = capsys.readouterr().out

    assert _TAKES_EFFECT.search(said) is None
    for piece in (r"\u001b]0;title", r"\u009b31m", r"\u202eDCBA\u2028 [/x] [inc-1]"):
        assert said.count(piece) == 3


def test_status_shows_a_hostile_reason_of_a_pause_as_text(on_terminal: Callable[..., str], engine: Engine) -> None:
    with engine.begin() as connection:
        pause(connection, HOSTILE + "\nforged", "[b]op[/b]")

    said = on_terminal("status")

    assert f"by [b]op[/b]: {SPELLED}\\nforged ('moonx resume' ends it)" in said
    assert _TAKES_EFFECT.search(said) is None


@pytest.mark.parametrize("arguments", [("--csv",), ("--json",), (), ("--all",)])
def test_a_hostile_token_name_takes_no_effect_on_a_terminal(
    arguments: tuple[str, ...], on_terminal: Callable[..., str], engine: Engine, runtime: Runtime
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_token_holdings SET token_symbol = %s, token_name = %s", (HOSTILE,) * 2)

    said = on_terminal("portfolio", "ann", *arguments)

    assert "[inc-1]" in said
    assert _TAKES_EFFECT.search(said) is None


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_width_of_a_terminal_hides_what_a_breaker_says(
    columns: int, on_terminal: Callable[..., str], engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO circuit_breakers (key, state, failure_count, opened_at, retry_at, cause, last_error) "
            "VALUES ('alchemy:137', 'open', 5, '2026-03-02T09:05:00Z', '2026-03-02T09:06:00Z', 'failures', %s)",
            (f"refused {HOSTILE}",),
        )

    said = " ".join(on_terminal("status", columns=columns).split())

    assert _TAKES_EFFECT.search(said) is None
    for word in ("alchemy:137", "open", "2026-03-02T09:05:00", "2026-03-02T09:06:00", "5 failures", "refused", "inc-1"):
        assert word in said


def test_csv_in_a_file_is_what_is_stored(database_url: str, engine: Engine, runtime: Runtime, tmp_path: Path) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE user_token_holdings SET token_name = %s", ("\x9b\u202e",))

    done = subprocess.run(
        [sys.executable, "-m", "moonx_pipeline", "portfolio", "ann", "--csv"],
        env=environment_with(DATABASE_URL=database_url, DAGSTER_HOME=str(ROOT)),
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert "\x9b\u202e" in done.stdout.decode()


def test_an_error_that_quotes_control_characters_is_text(on_terminal: Callable[..., str]) -> None:
    said = on_terminal("breaker", "reset", "x\x1b[31m")

    assert r"There is no breaker 'x\u001b[31m'." in said


def test_no_command_prints_past_the_one_module_that_cleans() -> None:
    printing = re.compile(r"click\.s?echo\(|(?<!open_)\bConsole\(|(?<![\w.])print\(")
    folder = Path(terminal.__file__).parent
    found = {file.name for file in folder.glob("*.py") if printing.search(file.read_text())}

    assert found == {"terminal.py", "up_lines.py"}
