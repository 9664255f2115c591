import { beforeEach, expect, test, vi } from "vitest";
import { PRICED } from "../../fixtures/positions";
import { portfolio, USER } from "../../fixtures/replies";
import { forgetKept, keep, keepSoon, readKept } from "./cache";

const stored = new Map<string, string>();
beforeEach(() => {
  stored.clear();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  });
});
const kept = { portfolio: portfolio(PRICED), receivedAt: 7 };

test("what is kept is read back by the same user", () => {
  keep(kept);
  expect(readKept(USER)).toEqual(kept);
});

test("another user neither sees it nor leaves it there", () => {
  keep(kept);
  expect(readKept("grace")).toBeNull();
  expect(stored.size).toBe(0);
});

test("one that does not fit is not kept, and neither is the one before it", () => {
  keep(kept);
  vi.spyOn(localStorage, "setItem").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  keep({ ...kept, receivedAt: 8 });
  expect(readKept(USER)).toBeNull();
});

test("what an earlier version of the page kept is not taken for one of now", () => {
  const { lowLiquidity: _, unread: __, ...omitted } = kept.portfolio.omitted;
  stored.set("moonx.portfolio", JSON.stringify({ ...kept, portfolio: { ...kept.portfolio, omitted } }));
  expect(readKept(USER)).toBeNull();
  expect(stored.size).toBe(0);
});

test("what can't be read is as good as nothing", () => {
  stored.set("moonx.portfolio", "{");
  expect(readKept(USER)).toBeNull();
});

test("what one user held is not kept once another has signed in", () => {
  stored.set("moonx.user", "grace");
  keep(kept);
  expect(readKept(USER)).toBeNull();
});

test("it is kept soon, unless it is forgotten before", () => {
  vi.useFakeTimers();
  keepSoon(kept);
  expect(stored.size).toBe(0);
  vi.advanceTimersByTime(2_000);
  expect(readKept(USER)).toEqual(kept);

  keepSoon(kept);
  forgetKept();
  vi.advanceTimersByTime(2_000);
  expect(stored.size).toBe(0);
  vi.useRealTimers();
});
