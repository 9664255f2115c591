"""A process whose clock is wrong: it harms no sync of others, and what it stores has the database's time."""

import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET
from moonx_pipeline.storage.requests.queue import add_request
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline_tests.fixtures.simulator import FAST, UNLIMITED
from moonx_pipeline_tests.support.sweeps import execute
from moonx_pipeline_tests.support.syncs import operation, register, status, sync
from moonx_pipeline_tests.support.wrong_clock import wrong_clock

_AHEAD = timedelta(minutes=20)

_WORK = """
import json, sys, uuid
from datetime import UTC, datetime
from moonx_pipeline.clock import utc_now
from moonx_pipeline.settings import Settings
from moonx_pipeline.storage.connection.engine import open_engine, reach
from moonx_pipeline.sync.pipeline import SyncPipeline
from moonx_pipeline.sync.recovery import recover_lost
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline.sync.spec import SyncSpec
from moonx_pipeline.sync.sweep import Sweep, SweepSpec

engine = open_engine(sys.argv[1])
reach(engine)
runtime = open_runtime(Settings.from_environment(json.loads(sys.argv[2])), engine)
lost = recover_lost(runtime, utc_now())
SyncPipeline(runtime).run(SyncSpec(uuid.uuid4(), "bob", "manual"))
swept = Sweep(runtime, SweepSpec(batch_size=50)).run()
print(json.dumps({
    "own": datetime.now(UTC).isoformat(), "used": utc_now().isoformat(), "lost": len(lost.operations),
}))
"""


@pytest.mark.parametrize("ahead", [_AHEAD, -_AHEAD], ids=["ahead", "behind"])
def test_a_process_with_a_wrong_clock_harms_no_living_sync_and_moves_no_due_time(
    runtime: Runtime, engine: Engine, simulator: RunningSimulator, tmp_path: Path, ahead: timedelta
) -> None:
    register(engine, "ann", PLAIN_WALLET)
    register(engine, "bob", PLAIN_WALLET)
    register(engine, "eve", POLYGON_WALLET)
    for user in ("bob", "eve"):
        sync(runtime, user)
    register(engine, "zoe", PLAIN_WALLET)
    # Without the digest of what they follow from, portfolios are stored anew, so that their syncs leave operations.
    execute(engine, "UPDATE user_sync_status SET last_active_at = now(), next_sync_at = now(), inputs_hash = NULL")
    execute(engine, "UPDATE user_sync_status SET next_sync_at = now() + interval '18 minutes' WHERE user_id = 'zoe'")
    with engine.begin() as connection:
        request = add_request(connection, "ann", source="api", priority="high")
    living = SyncPipeline(runtime).open(SyncSpec(uuid.uuid4(), "ann", "manual", request_id=request))
    before = utc_now()

    told = subprocess.run(
        [
            sys.executable,
            "-c",
            _WORK,
            engine.url.render_as_string(hide_password=False),
            json.dumps({**simulator.environment(), **FAST, **UNLIMITED}),
        ],
        env=wrong_clock(tmp_path, ahead_seconds=int(ahead.total_seconds())),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout.splitlines()[-1])

    assert abs(datetime.fromisoformat(said["own"]) - utc_now() - ahead) < timedelta(minutes=5)  # its clock is wrong
    assert said["lost"] == 0
    assert operation(engine, "ann").status == "running"
    assert living.operation_id == operation(engine, "ann").id
    after = datetime.now(UTC)
    for user in ("bob", "eve"):
        ended = operation(engine, user)
        assert before <= ended.started_at <= ended.completed_at <= after
        assert before < status(engine, user).next_sync_at < after + timedelta(minutes=16)
    assert status(engine, "zoe").last_sync_at is None
    assert f"clock is 1200 s {'ahead of' if ahead > timedelta(0) else 'behind'} the database's" in told.stderr
