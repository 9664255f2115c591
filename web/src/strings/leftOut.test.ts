import { expect, test } from "vitest";
import { CHAINS } from "../../fixtures/replies";
import type { OmittedThen } from "../api/schema";
import { Chains } from "../chains";
import { leftOut } from "./leftOut";

const chains = new Chains(CHAINS);

const nothing = { unpriced: 0, spam: 9, flagged: 0, lowLiquidity: 0, unread: 0, staleChains: [] };
const text = (changes: Partial<OmittedThen>) => leftOut({ omitted: { ...nothing, ...changes } }, chains);

test("each thing that a total left out is said with how many there were", () => {
  expect(text({ unread: 1, unpriced: 2, lowLiquidity: 3, flagged: 1, staleChains: [137, 10] })).toBe(
    "1 token not read, 2 tokens without a price, 3 tokens hard to sell, 1 price not trusted, " +
      "older values of Polygon and Optimism",
  );
  expect(text({})).toBe("nothing left out");
});

test("what was not counted then is not called nothing", () => {
  expect(leftOut({ omitted: null }, chains)).toBe("what was left out is not known");
  expect(text({ unread: null, lowLiquidity: null })).toBe("nothing left out that was counted then");
  expect(text({ unread: null, lowLiquidity: null, unpriced: 1 })).toBe("1 token without a price");
});
