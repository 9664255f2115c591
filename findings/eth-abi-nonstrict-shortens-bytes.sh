#!/usr/bin/env bash
# eth-abi 6.0.0, decode() of an answer whose text says that it is longer than the answer is.
#
# Contracts of 2017 leave out the padding of a text's last word, and decode(..., strict=False) is how eth-abi reads them.
# Expected: it forgives missing padding only; a text that claims more bytes than there are is an error, DecodingError, in
# both modes, however much it claims.
# Seen: without strict, a text that claims 1,000 bytes and has 3 is returned as the 32 bytes that follow, as if that were
# all of it. And a claim of 2**63 or more is an OverflowError in both modes, which is no DecodingError, so what catches
# the library's own errors does not catch it.
# It fails where either is no longer so. Needs Python 3.10.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check "eth-abi==6.0.0" "eth-utils==6.0.0" "eth-hash[pycryptodome]==0.8.0"
venv/bin/python - <<'PY'
from eth_abi import decode
from eth_abi.exceptions import DecodingError


def text(claimed):
    return (32).to_bytes(32, "big") + claimed.to_bytes(32, "big") + b"abc".ljust(32, b"\0")


def outcome(claimed, strict):
    try:
        return decode(["bytes"], text(claimed), strict=strict)[0]
    except Exception as error:
        return type(error)


assert outcome(3, True) == outcome(3, False) == b"abc"
assert issubclass(outcome(1000, True), DecodingError)
assert outcome(1000, False) == b"abc".ljust(32, b"\0")
for strict in (True, False):
    assert outcome(2**63, strict) is OverflowError
assert not issubclass(OverflowError, DecodingError)
print(f"claims 1,000 of 3 bytes: strict {outcome(1000, True).__name__}, else {len(outcome(1000, False))} bytes; "
      f"claims 2**63: {outcome(2**63, False).__name__} in both modes")
PY
