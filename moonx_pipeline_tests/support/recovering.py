"""Recovery of what dead workers left."""

from tenacity import Retrying, stop_after_delay, wait_fixed

from moonx_pipeline.clock import utc_now
from moonx_pipeline.storage.syncs.workers import LostOperation, list_workers
from moonx_pipeline.sync.recovery import process_worker, recover_lost
from moonx_pipeline.sync.runtime import Runtime


def recover(runtime: Runtime) -> list[LostOperation]:
    """Recovers once the server has seen that the killed process is gone."""
    own = {process_worker(runtime, utc_now())}
    lost: list[LostOperation] = []
    for attempt in Retrying(stop=stop_after_delay(15), wait=wait_fixed(0.01)):
        with attempt, runtime.db.engine.connect() as connection:
            lost += recover_lost(runtime, utc_now()).operations
            assert {worker.id for worker in list_workers(connection)} == own
            held_by_others = (
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid() AND datname = current_database()"
            )
            assert connection.exec_driver_sql(held_by_others).scalar_one() == len(own)
    return lost
