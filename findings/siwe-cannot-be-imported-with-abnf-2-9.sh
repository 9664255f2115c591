#!/usr/bin/env bash
# siwe 4.4.0 (Sign-In with Ethereum, for Python) with abnf 2.9.1, which it allows: it asks for abnf >=2.2, <3.
#
# Expected: what `pip install siwe` brings can be imported, as with abnf 2.8.3.
# Seen: `import siwe` raises GrammarError. abnf 2.9 refuses a grammar that defines a core rule of RFC 5234, as siwe's own
# grammars do; until 2.8 it warned. pip finds no conflict, so a service that pins siwe and not what siwe needs works
# until it is next installed anew.
# It fails where the import works with 2.9.1, or no longer does with 2.8.3. Needs Python 3.10 and half a minute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
imported_with() {
  venv/bin/python -m pip install --quiet --disable-pip-version-check \
    "siwe==4.4.0" "abnf==$1" "web3==7.16.0" "eth-account==0.13.7" "pydantic==2.12.5"
  venv/bin/python -m pip check >/dev/null
  venv/bin/python -W ignore - <<'PY'
try:
    import siwe
except Exception as error:
    print(f"{type(error).__name__}: {str(error).partition(',')[0]}")
else:
    print(f"imported {siwe.SiweMessage.__name__}")
PY
}
before=$(imported_with 2.8.3)
after=$(imported_with 2.9.1)
echo "abnf 2.8.3: $before; abnf 2.9.1: $after"
[ "$before" = "imported SiweMessage" ] && [[ "$after" == GrammarError:* ]]
