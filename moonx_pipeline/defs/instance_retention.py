"""Prunes old runs and partitions from Dagster's instance."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

import dagster as dg
from sqlalchemy import Engine

from moonx_pipeline.defs.partitions import users
from moonx_pipeline.defs.runs import ENDED, UNDER_WAY
from moonx_pipeline.storage.upkeep.garbage import inactive_users
from moonx_pipeline.sync.run_tags import PARTITION

_AT_ONCE: Final = 100
_USERS: Final = str(users.name)


def prune_runs(instance: dg.DagsterInstance, asset: dg.AssetKey, before: datetime) -> Iterator[int]:
    """Deletes runs that ended before a time, with their events, the oldest first.

    The last run that materialized a partition stays as long as the partition: without its events, Dagster would show
    a synced user as never synced.

    Args:
        instance: Dagster's instance.
        asset: The asset that is partitioned by user.
        before: Runs that ended earlier are deleted.

    Yields:
        The number of runs deleted, every few hundred.
    """
    partitions = set(instance.get_dynamic_partitions(_USERS))
    old = dg.RunsFilter(statuses=ENDED, updated_before=before)
    last_kept = None
    while records := instance.get_run_records(old, limit=_AT_ONCE, cursor=last_kept, ascending=True):
        runs = [record.dagster_run for record in records]
        kept = _last_syncs(instance, asset, partitions.intersection(run.tags.get(PARTITION, "") for run in runs))
        for run in runs:
            if run.run_id in kept:
                last_kept = run.run_id
            else:
                instance.delete_run(run.run_id)
        yield sum(run.run_id not in kept for run in runs)


def _last_syncs(instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: set[str]) -> set[str]:
    """The last run that materialized each partition."""
    if not partitions:
        return set()
    latest = instance.get_latest_storage_id_by_partition(asset, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions)
    if not latest:
        return set()
    events = dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(latest.values()))
    return {record.run_id for record in instance.fetch_materializations(events, limit=len(latest)).records}


def retire_partitions(instance: dg.DagsterInstance, engine: Engine, since: datetime, most: int) -> Iterator[int]:
    """Deletes the partitions of users who were not active since a time, or have no wallets.

    A partition with a run in progress stays. When the user comes back, their sync creates it again.

    Args:
        instance: Dagster's instance.
        engine: The pipeline's database.
        since: The start of the time in which an active user keeps the partition.
        most: The largest number to delete.

    Yields:
        The number of partitions deleted, every few hundred.
    """
    partitions = _inactive(engine, instance.get_dynamic_partitions(_USERS), since, most)
    for start in range(0, len(partitions), _AT_ONCE):
        some = _inactive(engine, partitions[start : start + _AT_ONCE], since, _AT_ONCE)
        under_way = _with_runs(instance, some)
        free = [partition for partition in some if partition not in under_way]
        for partition in free:
            instance.delete_dynamic_partition(_USERS, partition)
        # A run that began meanwhile may have found its partition and relies on it.
        begun = _with_runs(instance, free)
        if begun:
            instance.add_dynamic_partitions(_USERS, sorted(begun))
        yield len(free) - len(begun)


def _inactive(engine: Engine, partitions: Sequence[str], since: datetime, most: int) -> list[str]:
    with engine.connect() as connection:
        return inactive_users(connection, partitions, since, most)


def _with_runs(instance: dg.DagsterInstance, partitions: Collection[str]) -> set[str]:
    if not partitions:
        return set()
    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION: list(partitions)}, statuses=UNDER_WAY))
    return {run.tags[PARTITION] for run in runs}
