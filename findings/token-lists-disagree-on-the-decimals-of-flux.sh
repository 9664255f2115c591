#!/usr/bin/env bash
# Uniswap's default token list, npm @uniswap/default-token-list 22.21.0, and the Superchain Token List, npm
# @eth-optimism/tokenlist 10.0.1770.
#
# Expected: where two curated lists name the same contract of the same chain, they say the same number of decimals. A
# contract has one, and it decides what a balance is worth.
# Seen: of the contracts that both name, they disagree on one: FLUX on Ethereum has 18 decimals in Uniswap's list and 8
# in the other. With 18 a balance is 10 billion times too small, which looks like dust and not like an error. Within
# Uniswap's list itself a row with the same logo on Avalanche has 8.
# It fails where the lists agree, or disagree on more. Needs node with npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --loglevel error @uniswap/default-token-list@22.21.0 @eth-optimism/tokenlist@10.0.1770 >/dev/null
node - <<'JS'
const assert = require("node:assert");
const uniswap = require("@uniswap/default-token-list").tokens;
const superchain = require("@eth-optimism/tokenlist").default.tokens;
const key = (token) => `${token.chainId}:${token.address.toLowerCase()}`;
const rows = new Map(uniswap.map((token) => [key(token), token]));
const both = new Map(superchain.filter((token) => rows.has(key(token))).map((token) => [key(token), token]));
const differ = [...both].filter(([name, token]) => rows.get(name).decimals !== token.decimals);
for (const [name, token] of differ) {
  console.log(`${name} ${token.symbol}: Uniswap ${rows.get(name).decimals} decimals, Superchain ${token.decimals}`);
}
console.log(`${both.size} contracts are in both lists`);
assert.ok(both.size > 100);
assert.deepStrictEqual(
  differ.map(([name, token]) => [name, token.symbol, rows.get(name).decimals, token.decimals]),
  [["1:0x720cd16b011b987da3518fbf38c3071d4f0d1495", "FLUX", 18, 8]],
);
const flux = rows.get(differ[0][0]);
const twin = uniswap.find((token) => token.chainId === 43114 && token.symbol === "FLUX");
assert.deepStrictEqual([twin.logoURI, twin.decimals], [flux.logoURI, 8]);
JS
