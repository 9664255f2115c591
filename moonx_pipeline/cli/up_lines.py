"""Prints the lines of all processes in one format: JSON, or text on a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from honcho.printer import Message, Printer

from moonx_pipeline.domain.show import visible

_OF_FRAME = ("event", "level", "timestamp", "process", "logger")
_LEVELS = {"warning": "!", "error": "!!", "critical": "!!"}


class LinePrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """Prints each line with its process."""

    def __init__(self, output: TextIO = sys.stdout) -> None:
        super().__init__(output)
        self._for_people = output.isatty()

    def write(self, message: Message) -> None:
        """Prints a process's output line by line; lines that are not JSON are wrapped in it."""
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        for line in text.split("\n"):
            if line.strip():
                entry = {"process": message.name, **_entry(line.rstrip("\r"), message)}
                # Strangers have a say in it: what they ask for is logged.
                if self._for_people:
                    super().write(message._replace(data=visible(_readable(entry))))
                else:
                    shown = visible(json.dumps(entry, ensure_ascii=False, default=str))
                    print(shown, file=self.output, flush=True)


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
