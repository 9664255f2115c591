#!/usr/bin/env bash
# ethers 6.17.0, FixedNumber.round() of numbers below zero.
#
# Expected: as its documentation says, a number is rounded to its nearest neighbour, ties upwards. -2 is whole, so it stays
# -2; -2.4 is -2, and -2.7 is -3.
# Seen: half a unit is added, and what is behind the point is then cut off towards zero, which is upwards here. So everything
# below zero ends one too high unless it is near the next number: -2 is -1, -2.4 is -1, -2.7 is -2, and a loss of
# exactly 1 is 0. What is not below zero is rounded right.
# It fails where one of these is no longer so. Needs node with npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --loglevel error ethers@6.17.0 >/dev/null
node - <<'JS'
const assert = require("node:assert");
const { FixedNumber } = require("ethers");
const cases = [
  // the number, its decimals afterwards, what is right, what is seen
  ["2.0", 0, "2.0", "2.0"],
  ["2.4", 0, "2.0", "2.0"],
  ["2.7", 0, "3.0", "3.0"],
  ["-1.0", 0, "-1.0", "0.0"],
  ["-2.0", 0, "-2.0", "-1.0"],
  ["-2.4", 0, "-2.0", "-1.0"],
  ["-2.7", 0, "-3.0", "-2.0"],
  ["-1.21", 1, "-1.2", "-1.1"],
];
for (const [number, decimals, right, seen] of cases) {
  const rounded = FixedNumber.fromString(number).round(decimals).toString();
  console.log(`${number} to ${decimals} decimals: ${rounded}${rounded === right ? "" : `, and ${right} is right`}`);
  assert.strictEqual(rounded, seen);
}
JS
