"""Leaves out of an event's JSON what follows from the rest of it, and puts it back.

``=`` stands where a value is left out: no JSON has it outside a string, and inside one the quotes before it would be
escaped.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Final
from uuid import UUID

from moonx_pipeline.domain.events import event_id_of
from moonx_pipeline.domain.money import plain

# As jsonb writes a position: shorter names first.
_POSITION: Final = re.compile(
    r'("amount": "(\d+(?:\.\d+)?)", "symbol": (?:null|"(?:[^"\\]|\\.)*"), "chainId": \d+, '
    r'"priceUsd": "(\d+(?:\.\d+)?)", "valueUsd": )(\d+(?:\.\d+)?|=)'
)
_EXACT: Final = Context(prec=2000, Emax=999999, Emin=-999999)


def leave_out(payload: str, kind: str, operation: UUID | None) -> str:
    """An event's JSON without what ``put_back`` knows.

    Args:
        payload: The JSON as PostgreSQL writes it.
        kind: The event's type.
        operation: The sync that it names.
    """
    short = _POSITION.sub(_without_value, payload)
    for name, value in _ids(kind, operation):
        short = short.replace(f'"{name}": "{value}"', f'"{name}": =')
    return short


def put_back(short: str, kind: str, operation: UUID | None) -> str:
    """The JSON that ``leave_out`` was given, with the same type and sync."""
    payload = _POSITION.sub(_with_value, short)
    for name, value in _ids(kind, operation):
        payload = payload.replace(f'"{name}": =', f'"{name}": "{value}"')
    return payload


def _ids(kind: str, operation: UUID | None) -> list[tuple[str, UUID]]:
    if operation is None:
        return []
    return [("eventId", event_id_of(operation, kind)), ("syncOperationId", operation)]


def _value(position: re.Match[str]) -> str:
    return plain(_EXACT.multiply(Decimal(position[2]), Decimal(position[3])))


def _without_value(position: re.Match[str]) -> str:
    return f"{position[1]}=" if position[4] == _value(position) else position[0]


def _with_value(position: re.Match[str]) -> str:
    return f"{position[1]}{_value(position)}" if position[4] == "=" else position[0]
