#!/usr/bin/env bash
# Superchain Token List, npm @eth-optimism/tokenlist 10.0.1770.
#
# Expected: a token list names a contract of a chain once, so that a map by chain and contract loses nothing; and the
# list in a package says the package's version.
# Seen: USDC on Ethereum stands in it twice. One row has the bridges of four chains, the other has none: a map keeps
# whichever comes last, and with it the bridges or not. And the list calls itself 10.0.1769, one behind its package, so
# its own version can't tell whether a newer package was read.
# It fails where either is no longer so. Needs node with npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --loglevel error @eth-optimism/tokenlist@10.0.1770 >/dev/null
node - <<'JS'
const assert = require("node:assert");
const list = require("@eth-optimism/tokenlist").default;
const rows = new Map();
for (const token of list.tokens) {
  const key = `${token.chainId}:${token.address.toLowerCase()}`;
  rows.set(key, [...(rows.get(key) ?? []), token]);
}
const twice = [...rows].filter(([, tokens]) => tokens.length > 1);
assert.deepStrictEqual(twice.map(([key]) => key), ["1:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"]);
const bridges = twice[0][1].map((token) => Object.keys(token.extensions).filter((name) => name.endsWith("BridgeAddress")).length);
assert.deepStrictEqual(bridges, [4, 0]);
assert.deepStrictEqual(list.version, { major: 10, minor: 0, patch: 1769 });
console.log(`${list.tokens.length} tokens; twice: ${twice[0][0]}, with ${bridges.join(" and ")} bridges; version 10.0.${list.version.patch}`);
JS
