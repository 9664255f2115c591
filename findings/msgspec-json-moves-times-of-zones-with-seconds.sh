#!/usr/bin/env bash
# msgspec 0.22.0, json.encode() of a datetime whose zone is apart from UTC by minutes and seconds.
#
# Zones had such offsets until they took whole minutes: Amsterdam until 1937, Monrovia until 1972.
# Expected: json.decode(json.encode(time)) is the same time. RFC 3339 has no seconds in an offset, so it is written in UTC,
# or refused.
# Seen: the offset is rounded to a minute and the clock's time is left as it is, so the time moves by up to half a minute,
# without a word. MessagePack keeps it: the same value differs by the protocol.
# It fails where JSON keeps the time, or MessagePack no longer does. Needs Python 3.10.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "msgspec==0.22.0" "tzdata==2025.2"
venv/bin/python - <<'PY'
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

for zone, year, moved in (("Africa/Monrovia", 1971, -30), ("Europe/Amsterdam", 1930, -28), ("Europe/Paris", 1900, 21)):
    time = datetime(year, 6, 1, 12, tzinfo=ZoneInfo(zone))
    text = msgspec.json.encode(time)
    by_json = msgspec.json.decode(text, type=datetime) - time
    by_msgpack = msgspec.msgpack.decode(msgspec.msgpack.encode(time), type=datetime) - time
    print(f"{time.isoformat()} is written as {text.decode()}: moved by {by_json.total_seconds():.0f} s, "
          f"by {by_msgpack.total_seconds():.0f} s in MessagePack")
    assert by_json.total_seconds() == moved, by_json
    assert by_msgpack.total_seconds() == 0, by_msgpack
PY
