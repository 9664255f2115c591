import { expect, test } from "vitest";
import { CHAINS, portfolio } from "../../fixtures/replies";
import type { Chain, Portfolio } from "../api/schema";
import { Chains } from "../chains";
import { clock } from "../format/time";
import { freshness } from "./freshness";

const now = Date.parse("2025-11-03T12:04:40Z");
const chain = (chainId: number, changes: Partial<Chain> = {}): Chain => ({
  chainId,
  name: new Chains(CHAINS).name(chainId),
  status: "fresh",
  syncedAt: "2025-11-03T12:04:00Z",
  error: null,
  errorCode: null,
  ...changes,
});
const of = (...chains: Chain[]): Portfolio => portfolio([], { chains });
const stale = { status: "stale", syncedAt: "2025-11-03T11:12:00Z", error: "It took too long." } as const;

test("all chains are as fresh as the oldest of them", () => {
  const older = chain(137, { syncedAt: "2025-11-03T12:01:40Z" });
  expect(freshness(of(chain(1), older), now)).toMatchObject({ tone: "quiet", text: "Read 3 min ago · all 2 chains" });
});

test("one that did not answer is named, with its time", () => {
  const text = `Polygon as of ${clock(stale.syncedAt)}, it did not answer`;
  expect(freshness(of(chain(1), chain(137, stale)), now)).toMatchObject({ tone: "warn", text });
});

test("one that was never read is said to be so", () => {
  const never = chain(8453, { status: "never", syncedAt: null });
  expect(freshness(of(chain(1), never), now).text).toBe("Base was never read");
});

test("several are counted, and all of them are no chain", () => {
  const some = of(chain(1), chain(137, stale), chain(10, stale));
  expect(freshness(some, now).text).toBe("2 of 3 chains did not answer");
  const none = of(chain(137, stale), chain(10, { ...stale, syncedAt: "2025-11-03T11:40:00Z" }));
  expect(freshness(none, now).text).toBe(`No chain has answered since ${clock("2025-11-03T11:40:00Z")}`);
});
