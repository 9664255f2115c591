import { expect, test } from "vitest";
import type { ChainProgress, OperationDetail } from "../api/types";
import { CHAINS } from "../chains";
import { clock } from "../format/time";
import { endedMarks, marks } from "./marks";

const AT = "2025-11-03T12:10:00Z";

function heard(chainId: number, changes: Partial<ChainProgress>): ChainProgress {
  return { chainId, state: "done", reason: null, retryAt: null, ...changes };
}

test("before a sync has begun all chains wait, and once it has all are being read", () => {
  expect(marks([], false).map(({ state }) => state)).toEqual(Array(5).fill("waiting"));
  expect(marks([], true).map(({ state }) => state)).toEqual(Array(5).fill("reading"));
});

test("marks stand in the order of the chains, in whichever order they answer", () => {
  const shown = marks([heard(8453, {}), heard(1, {})], true);
  expect(shown.map(({ chain }) => chain.id)).toEqual(CHAINS.map(({ id }) => id));
  expect(shown.map(({ state }) => state)).toEqual(["done", "reading", "reading", "reading", "done"]);
});

test("a chain that failed says why in plain words, and never in those of our parts", () => {
  const reasons = {
    "alchemy did not answer in full within 8.0 s.": "Polygon did not answer: it took too long",
    "alchemy refused with status 503, it has a fault of its own: Unable to complete request at this time. Then: alchemy was not asked: the sync's time is over.":
      "Polygon did not answer: the service it is read from is down",
    "alchemy was not asked: the sync's time is over.": "Polygon did not answer: there was no time left",
    "alchemy refused with status 429, its rate limit is reached": "Polygon did not answer: it was asked too often",
    "alchemy can't be reached (no connection, or it was cut).":
      "Polygon did not answer: the service it is read from is down",
    "alchemy refused with status 401, the key is missing or wrong (check its setting)":
      "Polygon did not answer: it does not let us ask",
    "Something new": "Polygon did not answer",
  };
  for (const [reason, words] of Object.entries(reasons))
    expect(marks([heard(137, { state: "failed", reason })], true)[1]?.words).toBe(words);
});

test("a chain that was not asked says from when on it is", () => {
  const reason = "Polygon was not asked. The circuit breaker 'alchemy:137' is open: it has a fault of its own";
  expect(marks([heard(137, { state: "skipped", reason, retryAt: AT })], true)[1]?.words).toBe(
    `Polygon failed before and is asked again at ${clock(AT)}`,
  );
  const unset = "Polygon has no source of balances: set ALCHEMY_API_KEY or RPC_URL_POLYGON.";
  expect(marks([heard(137, { state: "skipped", reason: unset })], true)[1]?.words).toBe(
    "Polygon was not asked: it is not set up here",
  );
});

test("of several wallets on a chain the worst counts", () => {
  const of = (walletAddress: string, outcome: OperationDetail["chains"][0]["outcome"]) =>
    ({ walletAddress, chainId: 10, outcome, source: null, tokens: 0, reason: null, retryAt: null }) as const;
  const shown = (...chains: OperationDetail["chains"]) => endedMarks(chains)[2]?.state;
  expect(shown(of("a", "ok"), of("b", "failed"), of("c", "kept"))).toBe("failed");
  expect(shown(of("a", "skipped"), of("b", "ok"))).toBe("skipped");
  expect(shown(of("a", "kept"))).toBe("done");
});
