"""Packs of events: some of a key's published events, of one day, in one row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from moonx_pipeline.domain.events import event_id_of
from moonx_pipeline.storage.packs.columns import pack_texts, unpack_texts
from moonx_pipeline.storage.packs.derived import leave_out, put_back
from moonx_pipeline.storage.syncs.outbox import OutboxRow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class EventPack(NamedTuple):
    """A row of ``outbox_packs``; its lists have one element an event, in the order of ``seq``.

    Attributes:
        key: Of all its events.
        first_at, last_at: When the first and the last was made.
        last_tx: The last transaction that wrote one.
        seqs, topics, types, versions, operation_ids, errors: What SQL asks for; an error says why the broker never took
            the event.
        events: The rest, packed.
    """

    key: str
    first_at: datetime
    last_at: datetime
    last_tx: int
    seqs: list[int]
    topics: list[str]
    types: list[str]
    versions: list[int]
    operation_ids: list[UUID | None]
    errors: list[str | None]
    events: bytes


class _Rest(NamedTuple):
    """What the row does not say of an event.

    Attributes:
        id: ``None`` if it follows from its sync and type.
        tx: As in ``OutboxRow``.
        at: Microseconds since 1970.
        traceparent: As in ``OutboxRow``.
    """

    id: UUID | None
    tx: int
    at: int
    traceparent: str | None


class _Data(msgspec.Struct):
    sync_operation: UUID | None = msgspec.field(default=None, name="syncOperationId")


class _Payload(msgspec.Struct):
    """The part of a payload that names its sync; the rest is not decoded."""

    data: _Data = msgspec.field(default_factory=_Data)


_encode_rest = msgspec.json.Encoder().encode
_decode_rest = msgspec.json.Decoder(_Rest).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode


def pack_events(rows: Sequence[OutboxRow], errors: Sequence[str | None]) -> EventPack:
    """Packs events of one key and day.

    Args:
        rows: In the order of ``seq``, at least one.
        errors: Of each, why the broker never took it.

    Raises:
        ValueError: They would not come out as they went in.
    """
    operations = [_operation(row.payload) for row in rows]
    rest, payloads = [], []
    for row, operation in zip(rows, operations, strict=True):
        own_id = None if row.id == _derived_id(operation, row.type) else row.id
        at = (row.created_at - _EPOCH) // _MICROSECOND
        rest.append(_encode_rest(_Rest(own_id, row.tx, at, row.traceparent)).decode())
        payloads.append(leave_out(row.payload, row.type, operation))
    packed = pack_texts([*rest, *payloads])
    pack = EventPack(
        key=rows[0].key,
        first_at=min(row.created_at for row in rows),
        last_at=max(row.created_at for row in rows),
        last_tx=max(row.tx for row in rows),
        seqs=[row.seq for row in rows],
        topics=[row.topic for row in rows],
        types=[row.type for row in rows],
        versions=[row.version for row in rows],
        operation_ids=operations,
        errors=list(errors),
        events=packed,
    )
    if unpack_events(pack) != list(rows):
        raise ValueError(f"Events of '{pack.key}' from number {pack.seqs[0]} on are not what was packed.")
    return pack


def _operation(payload: str) -> UUID | None:
    try:
        return _decode_payload(payload).data.sync_operation
    except msgspec.MsgspecError:
        return None


def _derived_id(operation: UUID | None, kind: str) -> UUID | None:
    return None if operation is None else event_id_of(operation, kind)


def unpack_events(pack: EventPack) -> list[OutboxRow]:
    """The events of a pack, in the order of ``seq``."""
    texts = unpack_texts(pack.events)
    count = len(pack.seqs)
    events = []
    lists = (pack.seqs, pack.topics, pack.types, pack.versions, pack.operation_ids, texts[:count], texts[count:])
    for seq, topic, kind, version, operation, text, short in zip(*lists, strict=True):
        rest = _decode_rest(text)
        event_id = rest.id or _derived_id(operation, kind)
        if event_id is None:
            raise ValueError(f"Event {seq} of '{pack.key}' has no id.")
        made_at = _EPOCH + rest.at * _MICROSECOND
        payload = put_back(short, kind, operation)
        events.append(
            OutboxRow(seq, rest.tx, event_id, topic, pack.key, kind, version, payload, made_at, rest.traceparent)
        )
    return events
