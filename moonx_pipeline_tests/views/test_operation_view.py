"""One sync as JSON: how each of its chains was read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from moonx_pipeline.gateway.sync_models import OperationDetail
from moonx_pipeline.storage.syncs.operation_rows import OperationDetailRow, OperationRow
from moonx_pipeline.views.operations import operation_detail_json
from moonx_pipeline_tests.support.rows import NOON

_ID = UUID("018f2c5a-0000-7000-8000-000000000001")
_ROW = OperationRow(_ID, "manual", "partial", "high", "manual", NOON, NOON, 900, 3, 4, None, None, None, 0, 7)


def shown(**chain: Any) -> dict[str, Any]:
    """The one chain of an operation, stored as given."""
    usual = {"walletAddress": "0x" + "a1" * 20, "chainId": 137, "outcome": "failed", "source": None, "tokens": 0}
    report = {**usual, "reason": "It took too long.", "retryAt": None, **chain}
    data = operation_detail_json(OperationDetailRow(_ROW, [report], 4, 610, None, None, None), None)
    TypeAdapter(OperationDetail).validate_python(data, strict=False)
    found: dict[str, Any] = data["chains"][0]
    return found


def test_chain_that_failed_has_its_reason_as_a_code() -> None:
    assert shown(code="timeout")["code"] == "timeout"


def test_report_of_before_codes_existed_has_none() -> None:
    assert shown()["code"] is None
