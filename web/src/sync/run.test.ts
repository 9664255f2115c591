import { expect, test } from "vitest";
import { position } from "../../fixtures/positions";
import { portfolio, status } from "../../fixtures/replies";
import type { Portfolio } from "../api/schema";
import { allChains } from "../live/progress";
import type { Outcome } from "../state/store";
import { followRuns, type Known, type Run } from "./run";

const USDC = { symbol: "USDC", name: "USD Coin", chainId: 8453, token: "0x01", decimals: 6, price: "1" };
const BEFORE = portfolio([position({ ...USDC, amount: "100" })]);
const AFTER = portfolio([position({ ...USDC, amount: "112.5" })]);
const COMPLETED: Outcome = {
  type: "completed",
  syncOperationId: "b",
  processingTime: 900,
  complete: true,
  failedChains: [],
  completedAt: "2025-11-03T12:05:00Z",
};
const RUNNING = {
  isRunning: true,
  runningOperation: { syncOperationId: "b", trigger: "manual", startedAt: "2025-11-03T12:04:59Z" },
};

function failed(code: string): Outcome {
  const error = { code, message: "", retryAt: null };
  return { type: "failed", syncOperationId: "a", error, failedAt: "2025-11-03T12:05:00Z" };
}

/** What a server has and a page knows of it, step by step. */
function page(known: Partial<Known> = {}) {
  const listeners = new Set<() => void>();
  const server: { portfolio: Portfolio } = { portfolio: BEFORE };
  let state: Known = {
    portfolio: BEFORE,
    isKept: false,
    status: status(BEFORE),
    connection: "live",
    progress: [],
    lastOutcome: null,
    ...known,
  };
  const change = (changes: Partial<Known>) => {
    state = { ...state, ...changes };
    for (const listener of listeners) listener();
  };
  const runs: Run[] = [];
  const stop = followRuns(
    {
      read: () => state,
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      refresh: async () => change({ portfolio: server.portfolio, isKept: false }),
      refreshStatus: async () => {},
    },
    (run) => runs.push(run),
  );
  /** Until all that was begun by a step has ended. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { server, change, runs, settled, stop };
}

const heldOf = (run: Run | undefined) => run?.result?.changes?.held.map(({ amount }) => amount);

test("a sync that was asked for is under way until its end is told, and then says what it changed", async () => {
  const { server, change, runs, settled, stop } = page();
  change({ progress: allChains("waiting", [1, 137, 10, 42161, 8453]) });
  change({ progress: allChains("reading", [1, 137, 10, 42161, 8453]), status: status(BEFORE, RUNNING) });
  expect(runs).toEqual([{ isUnderWay: true, result: null }]);
  server.portfolio = AFTER;
  change({ progress: allChains("done", [1]), lastOutcome: COMPLETED });
  await settled();
  expect(runs).toHaveLength(2);
  expect(heldOf(runs[1])).toEqual(["12.5"]);
  stop();
});

test("the portfolio that comes before the end of its sync is what it changed to, not from", async () => {
  const { server, change, runs, settled, stop } = page();
  change({ progress: allChains("reading", [1, 137, 10, 42161, 8453]) });
  server.portfolio = AFTER;
  change({ portfolio: AFTER });
  change({ lastOutcome: COMPLETED });
  await settled();
  expect(heldOf(runs.at(-1))).toEqual(["12.5"]);
  stop();
});

test("a sync whose beginning and end were told at once says what it changed", async () => {
  const { server, change, runs, settled, stop } = page();
  server.portfolio = AFTER;
  change({ lastOutcome: COMPLETED });
  await settled();
  expect(heldOf(runs.at(-1))).toEqual(["12.5"]);
  stop();
});

test("one whose end was told to nobody has ended when the status says that nothing runs", async () => {
  const { server, change, runs, settled, stop } = page({ connection: "offline", status: status(BEFORE, RUNNING) });
  server.portfolio = AFTER;
  change({ status: status(AFTER) });
  await settled();
  expect(heldOf(runs.at(-1))).toEqual(["12.5"]);
  stop();
});

test("an outcome that is told after its end was found changes nothing of what it changed", async () => {
  const { server, change, runs, settled, stop } = page({ status: status(BEFORE, RUNNING) });
  server.portfolio = AFTER;
  change({ status: status(AFTER) });
  await settled();
  change({ lastOutcome: COMPLETED });
  await settled();
  expect(heldOf(runs.at(-1))).toEqual(["12.5"]);
  change({ progress: allChains("reading", [1, 137, 10, 42161, 8453]), lastOutcome: null });
  change({ lastOutcome: { ...COMPLETED, syncOperationId: "c" } });
  await settled();
  expect(heldOf(runs.at(-1))).toEqual([]);
  stop();
});

test("what the browser had kept is not what a sync began with", async () => {
  const { server, change, runs, settled, stop } = page({
    portfolio: AFTER,
    isKept: true,
    status: status(null, RUNNING),
  });
  change({ portfolio: BEFORE, isKept: false });
  server.portfolio = BEFORE;
  change({ lastOutcome: COMPLETED });
  await settled();
  expect(heldOf(runs.at(-1))).toEqual([]);
  stop();
});

test("a sync that failed says so, and nothing of what is held", async () => {
  const { change, runs, settled, stop } = page({ progress: allChains("reading", [1, 137, 10, 42161, 8453]) });
  change({ lastOutcome: failed("no_chain_read") });
  await settled();
  expect(runs.at(-1)?.result).toMatchObject({ changes: null, unread: [], failure: { code: "no_chain_read" } });
  stop();
});

test("a sync that gave way to a later one has not ended while that one runs", async () => {
  const { change, runs, settled, stop } = page({
    progress: allChains("reading", [1, 137, 10, 42161, 8453]),
    status: status(BEFORE, RUNNING),
  });
  change({ lastOutcome: failed("superseded") });
  await settled();
  expect(runs).toEqual([{ isUnderWay: true, result: null }]);
  change({ lastOutcome: COMPLETED, status: status(BEFORE) });
  await settled();
  expect(runs.at(-1)).toMatchObject({ isUnderWay: false, result: { failure: null } });
  stop();
});

test("chains that were not read are told with since when they stand, those not asked with until when", async () => {
  const retryAt = "2025-11-03T12:10:00Z";
  const { change, runs, settled, stop } = page({
    progress: [
      { chainId: 137, state: "skipped", reason: "open", code: "breaker_open", retryAt },
      ...allChains("reading", [1]),
    ],
  });
  const failedChains = [
    { chainId: 137, reason: "open", code: "breaker_open" as const, staleSince: "2025-11-03T11:00:00Z" },
    { chainId: 1, reason: "slow", staleSince: null },
  ];
  change({ lastOutcome: { ...COMPLETED, complete: false, failedChains } });
  await settled();
  expect(runs.at(-1)?.result?.unread).toMatchObject([
    { chainId: 137, state: "skipped", code: "breaker_open", retryAt, staleSince: "2025-11-03T11:00:00Z" },
    { chainId: 1, state: "failed", code: null, retryAt: null, staleSince: null },
  ]);
  stop();
});
