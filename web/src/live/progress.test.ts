import { expect, test } from "vitest";
import { afterCompleted, afterFailed, afterProgress, afterStarted, type allChains } from "./progress";

const started = { syncOperationId: "1", chains: [8453, 1, 137], startedAt: "", syncType: "manual" };
const done = (chainId: number) =>
  ({ syncOperationId: "1", chainId, state: "done", reason: null, retryAt: null }) as const;
const states = (progress: ReturnType<typeof allChains>) => progress.map(({ chainId, state }) => `${chainId} ${state}`);

test("a sync begins with its chains, in the order in which they are shown", () => {
  expect(states(afterStarted(started))).toEqual(["1 reading", "137 reading", "8453 reading"]);
});

test("each chain tells of itself", () => {
  expect(states(afterProgress(afterStarted(started), done(137)))).toEqual(["1 reading", "137 done", "8453 reading"]);
});

test("a page that missed the start shows all chains", () => {
  expect(states(afterProgress([], done(1)))[0]).toBe("1 done");
});

test("the end tells of the chains that were not told of", () => {
  const event = {
    syncOperationId: "1",
    processingTime: 1,
    complete: false,
    failedChains: [{ chainId: 137, reason: "It took too long.", staleSince: null }],
    completedAt: "",
  };
  expect(states(afterCompleted(afterStarted(started), event))).toEqual(["1 done", "137 failed", "8453 done"]);
});

test("a failed sync leaves what was read", () => {
  const progress = afterFailed(afterProgress(afterStarted(started), done(1)), "No chain could be read.");
  expect(states(progress)).toEqual(["1 done", "137 failed", "8453 failed"]);
  expect(progress[1]?.reason).toBe("No chain could be read.");
});
