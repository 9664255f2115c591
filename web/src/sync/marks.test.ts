import { expect, test } from "vitest";
import { CHAINS } from "../../fixtures/replies";
import type { OperationDetail } from "../api/schema";
import type { ChainProgress, ReasonCode } from "../api/types";
import { Chains } from "../chains";
import { clock } from "../format/time";
import { endedMarks, marks } from "./marks";

const AT = "2025-11-03T12:10:00Z";
const chains = new Chains(CHAINS);
const shown = (progress: ChainProgress[], started: boolean) => marks(progress, started, chains, CHAINS);

function heard(chainId: number, changes: Partial<ChainProgress>): ChainProgress {
  return { chainId, state: "done", reason: null, code: null, retryAt: null, ...changes };
}

/** What is said of Polygon. */
function words(changes: Partial<ChainProgress>): string | undefined {
  return shown([heard(137, changes)], true)[1]?.words;
}

test("before a sync has begun all chains wait, and once it has all are being read", () => {
  expect(shown([], false).map(({ state }) => state)).toEqual(Array(5).fill("waiting"));
  expect(shown([], true).map(({ state }) => state)).toEqual(Array(5).fill("reading"));
});

test("marks stand in the order of the chains, in whichever order they answer", () => {
  const some = shown([heard(8453, {}), heard(1, {})], true);
  expect(some.map(({ chain }) => chain)).toEqual(CHAINS);
  expect(some.map(({ state }) => state)).toEqual(["done", "reading", "reading", "reading", "done"]);
});

test("a chain that the page did not know of has a mark, too", () => {
  expect(shown([heard(250, {})], true).at(-1)).toMatchObject({
    chain: { chainId: 250, name: "Chain 250" },
    state: "done",
  });
});

test.each<[ReasonCode, string]>([
  ["timeout", "it took too long"],
  ["unavailable", "the service it is read from is down"],
  ["deadline_over", "there was no time left"],
  ["rate_limited", "it was asked too often"],
  ["key_rejected", "it does not let us ask"],
  ["no_source", "it is not set up here"],
])("a chain that failed by %s says so in plain words, and never in those of our parts", (code, why) => {
  const reason = "alchemy refused with status 503, it has a fault of its own";
  expect(words({ state: "failed", reason, code })).toBe(`Polygon did not answer: ${why}`);
});

test.each([null, "other", "a_code_of_tomorrow"] as (ReasonCode | null)[])(
  "where the code %s says nothing, the server does",
  (code) => {
    expect(words({ state: "failed", reason: "Its block is \u202etoo old.", code })).toBe(
      "Polygon did not answer: Its block is too old",
    );
    expect(words({ state: "failed", reason: null, code })).toBe("Polygon did not answer");
  },
);

test("a chain that was not asked says from when on it is", () => {
  expect(words({ state: "skipped", code: "breaker_open", retryAt: AT })).toBe(
    `Polygon failed before and is asked again at ${clock(AT)}`,
  );
  expect(words({ state: "skipped", code: "no_source" })).toBe("Polygon was not asked: it is not set up here");
});

test("a sync that has ended shows the chains that it was asked to read", () => {
  const of = (walletAddress: string, outcome: OperationDetail["chains"][0]["outcome"], chainId = 10) =>
    ({ walletAddress, chainId, outcome, source: null, tokens: 0, reason: null, code: null, retryAt: null }) as const;
  const states = (...report: OperationDetail["chains"]) =>
    endedMarks(report, chains).map(({ chain, state }) => `${chain.name} ${state}`);
  expect(states(of("a", "ok"), of("b", "failed"), of("c", "kept"))).toEqual(["Optimism failed"]);
  expect(states(of("a", "skipped"), of("b", "ok"))).toEqual(["Optimism skipped"]);
  expect(states(of("a", "ok", 8453), of("a", "kept"))).toEqual(["Optimism done", "Base done"]);
});
