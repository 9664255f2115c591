"""Syncs beside a running gateway."""

from __future__ import annotations

from uuid import uuid4

from moonx_pipeline.settings import Settings
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline_tests.fixtures.gateway import GatewayProcess


def sync(gateway: GatewayProcess, settings: Settings, user_id: str) -> None:
    order = SyncSpec(operation_id=uuid4(), user_id=user_id, trigger="manual", priority="high")
    SyncPipeline(open_runtime(settings, gateway.engine)).run(order)
