import { expect, test } from "vitest";
import { afterCompleted, afterFailed, afterProgress, afterStarted, type allChains } from "./progress";

const started = { syncOperationId: "1", chains: [1, 137, 8453], startedAt: "", syncType: "manual" };
const done = (chainId: number) =>
  ({ syncOperationId: "1", chainId, state: "done", reason: null, code: null, retryAt: null }) as const;
const states = (progress: ReturnType<typeof allChains>) => progress.map(({ chainId, state }) => `${chainId} ${state}`);

test("a sync begins with its chains", () => {
  expect(states(afterStarted(started))).toEqual(["1 reading", "137 reading", "8453 reading"]);
});

test("each chain tells of itself", () => {
  expect(states(afterProgress(afterStarted(started), done(137)))).toEqual(["1 reading", "137 done", "8453 reading"]);
});

test("a page that missed the start shows the chains that it hears of", () => {
  expect(states(afterProgress(afterProgress([], done(1)), done(137)))).toEqual(["1 done", "137 done"]);
});

test("the end tells of the chains that were not told of", () => {
  const event = {
    syncOperationId: "1",
    processingTime: 1,
    complete: false,
    failedChains: [{ chainId: 137, reason: "It took too long.", code: "timeout" as const, staleSince: null }],
    completedAt: "",
  };
  const ended = afterCompleted(afterStarted(started), event);
  expect(states(ended)).toEqual(["1 done", "137 failed", "8453 done"]);
  expect(ended[1]).toMatchObject({ reason: "It took too long.", code: "timeout" });
});

test("a server of before codes existed sends none", () => {
  const event = { ...done(137), state: "failed", reason: "It took too long.", code: undefined } as never;
  expect(afterProgress(afterStarted(started), event)[1]).toMatchObject({ state: "failed", code: null });
});

test("a failed sync leaves what was read", () => {
  const progress = afterFailed(afterProgress(afterStarted(started), done(1)));
  expect(states(progress)).toEqual(["1 done", "137 failed", "8453 failed"]);
});
