"""Rows for a set-based statement: one JSON parameter instead of one parameter a cell.

``json_to_recordset`` turns it back into typed rows on the server. This costs a tenth of adapting each cell on the
client, and exact decimals travel as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def recordset(rows: Iterable[Mapping[str, Any] | msgspec.Struct]) -> str:
    """Encodes rows as a JSON array of objects; bytes as base64. Integers beyond 64 bits must be given as text.

    Rows that a sweep writes by the thousand are structs: they need no dictionary each.
    """
    return _encode(list(rows)).decode()
