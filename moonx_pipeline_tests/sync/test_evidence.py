"""The evidence that is kept with syncs: a batch's tokens once, each user's part alone, and what older syncs kept."""

import json
import zlib
from datetime import timedelta

from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.simulator.world import PLAIN_WALLET, POLYGON_WALLET, SPAM_WALLET
from moonx_pipeline.storage.syncs.evidence_log import prune_evidence, read_explanation
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.support.sweeps import execute, sweep
from moonx_pipeline_tests.support.syncs import portfolio, register, sync


def explanation(engine: Engine, user_id: str) -> dict:
    with engine.connect() as connection:
        return read_explanation(connection, user_id)


def place(one: dict) -> tuple[str, int, str]:
    return one["walletAddress"], one["chainId"], one["tokenAddress"]


def counts(engine: Engine) -> tuple[int, int]:
    with engine.connect() as connection:
        return tuple(
            connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            for table in ("sync_evidence", "batch_evidence")
        )


def test_users_of_a_batch_share_its_tokens_and_are_explained_by_their_own(engine: Engine, runtime: Runtime) -> None:
    wallets = {"ann": PLAIN_WALLET, "bob": POLYGON_WALLET, "dan": SPAM_WALLET}
    for user_id, address in wallets.items():
        register(engine, user_id, address)

    sweep(runtime)

    kept, batches = counts(engine)
    assert kept == 3
    assert batches < 3
    for user_id, address in wallets.items():
        explained, held = explanation(engine, user_id), portfolio(engine, user_id)
        assert {one["walletAddress"] for one in explained["positions"]} == {address}
        assert len(explained["positions"]) == len(held.positions)
        tokens = {(one["chainId"], one["tokenAddress"]) for one in explained["tokens"]}
        assert tokens == {place(one)[1:] for one in explained["positions"]}


def test_evidence_that_older_syncs_kept_whole_is_still_read(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, "ann")
    before = explanation(engine, "ann")
    whole = {name: before[name] for name in ("tokens", "positions")}

    packed = zlib.compress(json.dumps(whole).encode())
    execute(engine, "UPDATE sync_evidence SET batch_id = NULL, evidence = %s", packed)

    assert explanation(engine, "ann") == before


def test_evidence_of_tokens_is_removed_with_that_of_its_syncs(engine: Engine, runtime: Runtime) -> None:
    register(engine, "ann", PLAIN_WALLET)
    sync(runtime, "ann")
    assert counts(engine) == (1, 1)

    now = utc_now()
    assert sum(prune_evidence(engine, now - timedelta(hours=1))) == 0
    assert sum(prune_evidence(engine, now + timedelta(hours=1))) == 2

    assert counts(engine) == (0, 0)
    assert explanation(engine, "ann") is None
