#!/usr/bin/env bash
# viem 2.57.20, viem/chains.
#
# Expected: an id names one chain, as EIP-155 has it, so a map of the package's chains by id loses nothing but other names of
# the same chain; and no main network shares its id with another network.
# Seen: 999 is HyperEVM, where HYPE is money, and two test networks, of Wanchain and of Zora. 9 and 260 are main
# networks and local nodes for development, too. A map by id keeps whichever comes last: 999 becomes Zora Goerli Testnet, with
# its nodes, its coin ETH and testnet true, while viem's own extractChain, over the same chains, finds HyperEVM.
# It fails where one of these is no longer so. Needs node with npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund --loglevel error --ignore-scripts viem@2.57.20 >/dev/null
node - <<'JS'
const assert = require("node:assert");
const { extractChain } = require("viem");
const chains = Object.values(require("viem/chains")).filter((chain) => chain?.id && chain.nativeCurrency);
const byId = new Map(chains.map((chain) => [chain.id, chain]));
const shared = {};
for (const id of byId.keys()) {
  const same = chains.filter((chain) => chain.id === id);
  if (same.some((chain) => chain.testnet === true) && same.some((chain) => chain.testnet === false)) {
    shared[id] = [...new Set(same.map((chain) => `${chain.name} (${chain.testnet ? "test" : "main"}, ${chain.nativeCurrency.symbol})`))];
    console.log(`${id}: ${shared[id].join(", ")}`);
  }
}
assert.deepStrictEqual(Object.keys(shared), ["9", "260", "999"]);
assert.strictEqual(shared[999].length, 3);
const [mapped, extracted] = [byId.get(999), extractChain({ chains, id: 999 })];
console.log(`999 is ${mapped.name} in a map, ${extracted.name} by extractChain`);
assert.deepStrictEqual([mapped.name, mapped.testnet, mapped.nativeCurrency.symbol], ["Zora Goerli Testnet", true, "ETH"]);
assert.deepStrictEqual([extracted.name, extracted.testnet, extracted.nativeCurrency.symbol], ["HyperEVM", false, "HYPE"]);
JS
