#!/usr/bin/env bash
# Dagster 1.13.27, HourlyPartitionsDefinition in a zone whose clock moved by half an hour: Caracas once (2016-05-01), Lord
# Howe Island twice a year.
#
# Expected: a partition begins at each full hour, before and after; the definition's answers agree: there are as many keys as
# it counts, it has each key that it lists, and the moment at which a key's window begins belongs to that key.
# Seen: from the change on the listed keys are at half past, for good. It counts one key less than it lists, says of
# the last one that it does not have it, and puts the moment at which each begins into a partition at the full hour, which
# the list lacks: the hour found by a time and the hours of a backfill over all keys are not the same ones.
# It fails where one of these is no longer so. Needs Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "dagster==1.13.27" "tzdata==2025.2"
venv/bin/python -W ignore - <<'PY'
from dagster import HourlyPartitionsDefinition

for zone, start, end in (
    ("America/Caracas", "2016-04-29-00:00", "2016-05-10-00:00"),
    ("Australia/Lord_Howe", "2024-10-01-00:00", "2024-11-01-00:00"),
    ("America/New_York", "2024-03-08-00:00", "2024-03-20-00:00"),  # moved by an hour: nothing is wrong
):
    hours = HourlyPartitionsDefinition(start_date=start, end_date=end, timezone=zone)
    keys = hours.get_partition_keys()
    half = [key for key in keys if key.endswith(":30")]
    denied = [key for key in keys if not hours.has_partition_key(key)]
    elsewhere = {}
    for key in keys:
        begins = hours.time_window_for_partition_key(key).start.timestamp()
        if (other := hours.get_partition_key_for_timestamp(begins)) != key:
            elsewhere[key] = other
    print(f"{zone}: lists {len(keys)} keys and counts {hours.get_num_partitions()}; at half past: {len(half)}; "
          f"listed and denied: {denied}; begin in another partition: {len(elsewhere)}")
    if zone == "America/New_York":
        assert not half and not denied and not elsewhere and len(keys) == hours.get_num_partitions()
        continue
    assert keys[0].endswith(":00") and keys[-1].endswith(":30"), keys
    assert len(keys) == hours.get_num_partitions() + 1
    assert denied == [keys[-1]], denied
    assert elsewhere and all(other.endswith(":00") and other not in keys for other in elsewhere.values())
PY
