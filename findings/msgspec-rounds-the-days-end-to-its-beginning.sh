#!/usr/bin/env bash
# msgspec 0.22.0, decode() of times with more than six digits after the second's point.
#
# .NET writes seven: TimeOnly.MaxValue is "23:59:59.9999999", DateTime.MaxValue "9999-12-31T23:59:59.9999999". Go writes
# up to nine.
# Expected: what is beyond a microsecond is cut off, as datetime.time.fromisoformat() does: a time stays on its day.
# Seen: it is rounded. The last moment of the day as a time is 00:00:00, its first one, so an interval that ends at the
# day's end ends before it began; as a datetime the last moment of a year is the next year; and the last moment of the year
# 9999, which many programs write for "never", is refused as no valid RFC 3339, which it is.
# It fails where one of these is no longer so. Needs Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "msgspec==0.22.0"
venv/bin/python - <<'PY'
from datetime import UTC, datetime, time

import msgspec

day_end, never = "23:59:59.9999999", "9999-12-31T23:59:59.9999999Z"
decoded = msgspec.json.decode(f'"{day_end}"', type=time)
assert decoded == time(0), decoded
assert time.fromisoformat(day_end) == time(23, 59, 59, 999_999)
year_end = msgspec.json.decode('"2026-12-31T23:59:59.9999999Z"', type=datetime)
assert year_end == datetime(2027, 1, 1, tzinfo=UTC), year_end
assert datetime.fromisoformat(never) == datetime.max.replace(tzinfo=UTC)
try:
    msgspec.json.decode(f'"{never}"', type=datetime)
except msgspec.ValidationError as refusal:
    print(f"{day_end} is {decoded}; the end of 2026 is {year_end}; {never}: {refusal}")
else:
    raise SystemExit(f"{never} is accepted.")
PY
