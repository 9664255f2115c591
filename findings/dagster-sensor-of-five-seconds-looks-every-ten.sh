#!/usr/bin/env bash
# Dagster 1.13.27 (dagster-daemon run), the minimum interval of sensors.
#
# Expected: the daemon looks at its sensors every five seconds, so one with minimum_interval_seconds=5 is evaluated every
# five seconds, as one with 1 is.
# Seen: the one with 5 is mostly evaluated every ten. The daemon's next look comes a moment less than five seconds after
# the tick that the last one wrote, finds the interval not yet over, and leaves it to the look after that. The one with 1
# is evaluated at each look. So an interval at the daemon's own pace doubles it.
# It fails where half of the gaps of the first are no longer above 7.5 s, or half of those of the second above 7.5 s.
# Needs Python 3.11 and two minutes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "dagster==1.13.27"
cat > looks.py <<'PY'
import time

import dagster as dg


@dg.job
def nothing():
    pass


def looking(seconds):
    @dg.sensor(
        name=f"every_{seconds}", job=nothing, minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(_context):
        with open(f"every_{seconds}", "a") as ticks:
            ticks.write(f"{time.time()}\n")
        return dg.SkipReason("It only looked.")

    return sensor


defs = dg.Definitions(jobs=[nothing], sensors=[looking(5), looking(1)])
PY
mkdir home
touch home/dagster.yaml
DAGSTER_HOME="$folder/home" timeout --signal=INT 120 venv/bin/dagster-daemon run -f looks.py >daemon.log 2>&1 || true
python3 - <<'PY'
import statistics

middle = {}
for seconds in (5, 1):
    ticks = [float(line) for line in open(f"every_{seconds}")]
    gaps = [after - before for before, after in zip(ticks, ticks[1:])]
    assert len(gaps) >= 4, "The daemon hardly looked: see whether it starts."
    middle[seconds] = statistics.median(gaps)
    print(f"minimum_interval_seconds={seconds}: {[round(gap, 1) for gap in gaps]}, middle {middle[seconds]:.1f} s")
assert middle[5] > 7.5, middle
assert middle[1] < 7.5, middle
PY
