"""Prints the lines of all processes in one format: JSON, or text on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TextIO

from honcho.printer import Message, Printer

from moonx_pipeline.domain.show import visible

_OF_FRAME = ("event", "level", "timestamp", "process", "logger")
_LEVELS = {"warning": "!", "error": "!!", "critical": "!!"}


class LinePrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """Prints each line with its process.

    Args:
        output: Where to.
        on_lost: Called once if nothing can be written there any more, as when the terminal was closed; what comes
            after is dropped, so that the end of the processes is not held up.
    """

    def __init__(self, output: TextIO = sys.stdout, on_lost: Callable[[], None] = lambda: None) -> None:
        super().__init__(output)
        self._for_people = output.isatty()
        self._on_lost = on_lost
        self._is_lost = False

    def write(self, message: Message) -> None:
        """Prints a process's output line by line; lines that are not JSON are wrapped in it."""
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        for line in text.split("\n"):
            if line.strip() and not self._is_lost:
                try:
                    self._print(line.rstrip("\r"), message)
                except OSError:
                    self._is_lost = True
                    self._on_lost()

    def _print(self, line: str, message: Message) -> None:
        entry = {"process": message.name, **_entry(line, message)}
        # Strangers have a say in it: what they ask for is logged.
        if self._for_people:
            super().write(message._replace(data=visible(_readable(entry))))
        else:
            print(visible(json.dumps(entry, ensure_ascii=False, default=str)), file=self.output, flush=True)


def _entry(line: str, message: Message) -> dict[str, Any]:
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict) and "event" in found:
            return found
    return {"event": line, "level": "info", "timestamp": message.time.astimezone().isoformat(timespec="milliseconds")}


def _readable(entry: dict[str, Any]) -> str:
    rest = " ".join(f"{name}={value}" for name, value in entry.items() if name not in _OF_FRAME)
    mark = _LEVELS.get(str(entry.get("level")), "")
    return " ".join(part for part in (mark, str(entry["event"]), rest) if part)
