#!/usr/bin/env bash
# geth 1.17.10 (go-ethereum, --dev) and anvil 1.7.1 (npm @foundry-rs/anvil), eth_getLogs with topics that end in null.
#
# Transfer(address,address,uint256) has one hash for fungible tokens and for NFTs. A log of the first has three topics, the
# fourth of the second is the NFT's number.
# Expected: null stands for any topic, so a filter finds the same logs on every node: [Transfer, null, null, null]
# either finds both, as [Transfer] does, or only those that have a fourth topic.
# Seen: anvil finds both, geth the NFT's only. The standard's text ("anything in first position") fits both. A reader that
# tells NFTs from tokens by this filter, and is tested with anvil, finds tokens among its NFTs there; one that pads
# its filters with null is right there and loses logs on geth.
# It fails where the two agree, or one answers otherwise. Needs Go 1.24 and Node 20 with npm, and a minute, or a few the
# first time, in which Go builds geth.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
GOBIN="$folder" go install github.com/ethereum/go-ethereum/cmd/geth@v1.17.10 2>/dev/null
npm init -y >/dev/null
npm install --no-audit --no-fund --loglevel error @foundry-rs/anvil@1.7.1 >/dev/null
cat > look.mjs <<'JS'
import assert from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
// A constructor that emits Transfer with three topics, LOG3, and with four, LOG4.
const CODE = `0x600260017f${TRANSFER}60006000a36003600260017f${TRANSFER}60006000a400`;
const FILTERS = [["T"], ["T", null, null], ["T", null, null, null]];

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

async function found(command, options) {
  const port = await freePort();
  const node = spawn(command, options(port), { stdio: "ignore", detached: true }); // a group: npm's anvil starts another
  const ask = async (method, ...params) => {
    const response = await fetch(`http://127.0.0.1:${port}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(5000),
    });
    const { result, error } = await response.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  const until = async (look) => {
    for (let tries = 0; tries < 150; tries++) {
      const answer = await look().catch(() => null);
      if (answer) return answer;
      await sleep(200);
    }
    throw new Error(`${command} does not answer.`);
  };
  try {
    const [from] = await until(() => ask("eth_accounts"));
    const hash = await ask("eth_sendTransaction", { from, data: CODE, gas: "0x30d40" });
    const receipt = await until(() => ask("eth_getTransactionReceipt", hash));
    assert.deepStrictEqual(receipt.logs.map((log) => log.topics.length), [3, 4]);
    const answers = [];
    for (const filter of FILTERS) {
      const topics = filter.map((topic) => topic && `0x${TRANSFER}`);
      const logs = await ask("eth_getLogs", { address: receipt.contractAddress, fromBlock: "0x0", toBlock: "latest", topics });
      answers.push(logs.map((log) => log.topics.length));
    }
    return answers;
  } finally {
    process.kill(-node.pid, "SIGKILL");
  }
}

const geth = await found("./geth", (port) => [
  "--dev", "--datadir", "data", "--http", "--http.port", String(port), "--ipcdisable", "--port", "0", "--nodiscover",
]);
const anvil = await found("node_modules/.bin/anvil", (port) => ["--port", String(port)]);
FILTERS.forEach((filter, index) => {
  console.log(`${JSON.stringify(filter)}: geth finds logs of ${geth[index].join(" and ")} topics, anvil of ${anvil[index].join(" and ")}`);
});
assert.deepStrictEqual(geth, [[3, 4], [3, 4], [4]]);
assert.deepStrictEqual(anvil, [[3, 4], [3, 4], [3, 4]]);
JS
node look.mjs
