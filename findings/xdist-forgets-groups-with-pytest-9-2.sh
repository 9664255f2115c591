#!/usr/bin/env bash
# pytest-xdist 3.8.0 with pytest 9.2.0, --dist loadgroup.
#
# Expected: tests with the same @pytest.mark.xdist_group run on one worker, as with pytest 9.1.1, or xdist says that it
# can't keep them together.
# Seen: with pytest 9.2.0 the tests of one group run on both workers, without a word. xdist marks a test's group at the end
# of a field of the item that pytest 9.2 no longer takes the test's id from, so what reaches the scheduler has no group.
# What the tests of a group share is then started once a worker.
# It fails where groups stay together with 9.2.0, or no longer do with 9.1.1. Needs Python 3.10.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > test_groups.py <<'PY'
import os
import time

import pytest


@pytest.mark.xdist_group("shared")
@pytest.mark.parametrize("number", range(12))
def test_it(number):
    time.sleep(0.2)
    with open("workers", "a") as workers:
        workers.write(os.environ["PYTEST_XDIST_WORKER"] + "\n")
PY
workers_with() {
  python3 -m venv "venv-$1"
  "venv-$1/bin/python" -m pip install --quiet --disable-pip-version-check "pytest==$1" "pytest-xdist==3.8.0"
  rm -f workers
  "venv-$1/bin/python" -m pytest -q -n 2 --dist loadgroup -p no:cacheprovider test_groups.py >/dev/null
  sort -u workers | wc -l
}
before=$(workers_with 9.1.1)
after=$(workers_with 9.2.0)
echo "a group of 12 tests ran on $before worker with pytest 9.1.1, on $after with 9.2.0"
[ "$before" -eq 1 ] && [ "$after" -eq 2 ]
