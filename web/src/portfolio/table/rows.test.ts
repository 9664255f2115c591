import { describe, expect, test } from "vitest";
import {
  DOUBTED,
  FLAGGED,
  LOW_LIQUIDITY,
  PRICED,
  position,
  SECOND_WALLET,
  SPAM,
  UNPRICED,
} from "../../../fixtures/positions";
import { CHAINS } from "../../../fixtures/replies";
import { Chains } from "../../chains";
import { type Column, type Filter, grouped, NO_FILTER, nextSorting, uncountedReasons } from "./rows";

const chains = new Chains(CHAINS);

const ALL = [...SPAM, ...UNPRICED, ...FLAGGED, ...PRICED];
const BY_VALUE = { column: "value", descending: true } as const;
const shown = (filter: Partial<Filter>, sorting: { column: Column; descending: boolean } = BY_VALUE) =>
  grouped(ALL, { ...NO_FILTER, ...filter }, sorting, chains).map(({ positions }) =>
    positions.map(({ symbol }) => symbol),
  );

test("what counts, what is hard to sell, what has no sure price and what is hidden are apart", () => {
  const groups = grouped([...ALL, ...LOW_LIQUIDITY, ...DOUBTED], NO_FILTER, BY_VALUE, chains);
  const unsure = UNPRICED.length + FLAGGED.length + DOUBTED.length;
  expect(groups.map(({ group, count }) => [group, count])).toEqual([
    ["counted", PRICED.length],
    ["lowLiquidity", LOW_LIQUIDITY.length],
    ["unsure", unsure],
    ["unread", 0],
    ["hidden", SPAM.length],
  ]);
  expect(groups[2]?.positions.map(({ symbol }) => symbol)).toContain("MOOND");
});

test("only the server says what counts, and only that has a sum", () => {
  const [eth] = PRICED;
  if (!eth) throw new Error("There is no position.");
  const odd = { ...eth, isCounted: false, notCountedReason: "a_reason_of_tomorrow", flags: ["low_liquidity"] };
  const flagged = { ...eth, tokenAddress: "0x1", flags: ["price_jump", "low_liquidity"] };
  const [counted, thin, unsure] = grouped([odd, flagged], NO_FILTER, BY_VALUE, chains);
  expect(counted?.positions).toEqual([flagged]);
  expect([counted?.valueUsd, thin?.valueUsd, unsure?.valueUsd]).toEqual([eth.valueUsd, null, null]);
  expect(unsure?.positions).toEqual([odd]);
});

test("what is not counted is found by its reason, and every reason says how many it keeps out", () => {
  const all = [...ALL, ...LOW_LIQUIDITY, ...DOUBTED];
  const by = (counted: Filter["counted"]) =>
    grouped(all, { ...NO_FILTER, counted }, BY_VALUE, chains).map(({ group, positions }) => [group, positions.length]);
  const unsure = UNPRICED.length + FLAGGED.length + DOUBTED.length;

  expect(by("counted")).toEqual([["counted", PRICED.length]]);
  expect(by("uncounted")).toEqual([
    ["lowLiquidity", LOW_LIQUIDITY.length],
    ["unsure", unsure],
    ["unread", 0],
    ["hidden", SPAM.length],
  ]);
  for (const [reason, count] of uncountedReasons(all)) expect(by({ reason }).map((group) => group[1])).toEqual([count]);
  expect(uncountedReasons(all)).toContainEqual(["low_liquidity", LOW_LIQUIDITY.length]);
  expect(uncountedReasons(all).map(([reason]) => reason)).not.toContain("spam");
});

test("a search finds by symbol, name and contract, whatever the case", () => {
  expect(shown({ text: "usd coin" })[0]).toEqual(["USDC"]);
  expect(shown({ text: " 0xA0b8 " })[0]).toEqual([]);
  expect(shown({ text: "0x833589FC" })[0]).toEqual(["USDC"]);
});

test("chain and wallet narrow it", () => {
  expect(shown({ chainId: 137 })[0]).toEqual(["USDT", "POL", "QUICK"]);
  expect(shown({ wallet: SECOND_WALLET })[0]).toEqual(["ETH", "LINK"]);
});

test("small ones are hidden only where their value is known", () => {
  const [counted, , unsure] = shown({ hideSmall: true });
  expect(counted).not.toContain("SHIB");
  expect(unsure).toHaveLength(UNPRICED.length + FLAGGED.length);
});

describe("sorted", () => {
  test("by value it is exact beyond a float's digits", () => {
    const near = ["1.000000000000000001", "1", "1.000000000000000002"].map((amount, index) =>
      position({ symbol: amount, name: null, chainId: 1, token: `0x${index}`, amount, price: "1" }),
    );
    const [{ positions } = { positions: [] }] = grouped(near, NO_FILTER, BY_VALUE, chains);
    expect(positions.map(({ amount }) => amount)).toEqual(["1.000000000000000002", "1.000000000000000001", "1"]);
  });

  test("what is unknown comes last in both directions", () => {
    for (const descending of [true, false]) expect(shown({}, { column: "change", descending })[0]?.at(-1)).toBe("GMX");
  });

  test("by chain in the order of the chains", () => {
    const symbols = shown({}, { column: "chain", descending: false })[0] ?? [];
    expect(symbols.slice(0, 2)).toEqual(["ETH", "WBTC"]);
    expect(symbols.at(-1)).toBe("WETH");
  });

  test("a second press turns the order; numbers begin with the largest", () => {
    expect(nextSorting(BY_VALUE, "value")).toEqual({ column: "value", descending: false });
    expect(nextSorting(BY_VALUE, "amount")).toEqual({ column: "amount", descending: true });
    expect(nextSorting(BY_VALUE, "token")).toEqual({ column: "token", descending: false });
  });
});
