"""What the system prints: each line with its process, as JSON or for people."""

import io
import json
from datetime import UTC, datetime

from honcho.printer import Message

from moonx_pipeline.cli.up_lines import LinePrinter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(output: io.StringIO, *lines: str) -> str:
    printer = LinePrinter(output)
    printer.width = 6
    at = datetime(2026, 3, 2, 9, 5, tzinfo=UTC)
    for line in lines:
        printer.write(Message(type="line", data=line.encode(), time=at, name="worker", colour="32"))
    return output.getvalue()


ENTRY = '{"event": "takes runs", "broker": "redis", "level": "warning", "logger": "worker", "timestamp": "T"}'


def test_without_a_terminal_every_line_is_json_with_its_process() -> None:
    lines = [json.loads(line) for line in printed(io.StringIO(), f"{ENTRY}\n\nplain \u00e9\n{{broken").splitlines()]

    assert lines[0] == {"process": "worker", **json.loads(ENTRY)}
    assert [line["event"] for line in lines[1:]] == ["plain \u00e9", "{broken"]
    assert {line["process"] for line in lines} == {"worker"}
    assert all(line["timestamp"] for line in lines)


def test_on_a_terminal_lines_are_for_people() -> None:
    shown = printed(Terminal(), ENTRY, "plain")

    first, second = shown.splitlines()
    assert first.endswith("! takes runs broker=redis")
    assert second.endswith("plain")
    assert "{" not in shown


def test_what_strangers_make_a_process_log_is_text_and_no_new_line() -> None:
    hostile = "GET /\x1b[31m\x85gateway | forged\x9b\u202e"
    as_json = json.dumps({"event": hostile, "path": "a\nb"}, ensure_ascii=False)

    for output in (Terminal(), io.StringIO()):
        shown = printed(output, hostile, as_json)
        assert len(shown.splitlines()) == 2
        for line in shown.splitlines():
            assert r"GET /\u001b[31m\u0085gateway | forged\u009b\u202e" in line
