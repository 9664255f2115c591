"""The JSON Schemas of events."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec


def event_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schemas (draft 2020-12) of the whole message, by event type."""
    folder = files("moonx_pipeline.events") / "schemas"
    return {
        entry.name.removesuffix(".json"): msgspec.json.decode(entry.read_bytes())
        for entry in folder.iterdir()
        if entry.name.endswith(".json")
    }
