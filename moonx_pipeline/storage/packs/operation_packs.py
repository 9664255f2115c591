"""Packs of operations: the syncs of a user that sweeps did on one day, in one row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from moonx_pipeline.storage.packs.columns import pack_texts, unpack_texts
from moonx_pipeline.storage.syncs.operation_rows import OperationDetailRow, OperationRow

PACK_COLUMNS: Final = "ids::text[], statuses, started_at, completed_at, totals, versions, details"
"""The columns of ``operation_packs`` that ``unpack_operations`` takes, in its order."""


class Details(NamedTuple):
    """What the lists of a pack do not say of an operation; ``chains`` is the stored JSON."""

    priority: str
    trigger: str
    duration_ms: int | None
    tokens_synced: int
    chains_synced: int
    error_code: str | None
    error_message: str | None
    retry_count: int
    provider_calls: int
    compute_units: int
    worker_id: str | None
    run_id: str | None
    chains: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Details).decode
_decode_chains = msgspec.json.Decoder(list[dict[str, Any]] | None).decode


def pack_details(details: Sequence[Details]) -> bytes:
    """Packs the details of operations, in their order."""
    return pack_texts([_encode(one).decode() for one in details])


def unpack_operations(
    ids: Sequence[str],
    statuses: Sequence[str],
    started_at: Sequence[datetime],
    completed_at: Sequence[datetime],
    totals: Sequence[Decimal | None],
    versions: Sequence[int | None],
    details: bytes,
) -> list[OperationDetailRow]:
    """The operations of a pack, in the order of their start; see ``PACK_COLUMNS``."""
    found = []
    for operation_id, status, started, completed, total, version, text in zip(
        ids, statuses, started_at, completed_at, totals, versions, unpack_texts(details), strict=True
    ):
        rest = _decode(text)
        row = OperationRow(
            UUID(operation_id), "sweep", status, rest.priority, rest.trigger, started, completed,
            rest.duration_ms, rest.tokens_synced, rest.chains_synced, total, rest.error_code, rest.error_message,
            rest.retry_count, version,
        )  # fmt: skip
        found.append(
            OperationDetailRow(
                row,
                _decode_chains(rest.chains) or [],
                rest.provider_calls,
                rest.compute_units,
                None,
                rest.worker_id,
                rest.run_id,
            )
        )
    return found
