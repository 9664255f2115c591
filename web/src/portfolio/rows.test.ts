import { describe, expect, test } from "vitest";
import { FLAGGED, PRICED, position, SECOND_WALLET, SPAM, UNPRICED } from "../../fixtures/positions";
import { type Column, type Filter, grouped, NO_FILTER, nextSorting } from "./rows";

const ALL = [...SPAM, ...UNPRICED, ...FLAGGED, ...PRICED];
const BY_VALUE = { column: "value", descending: true } as const;
const shown = (filter: Partial<Filter>, sorting: { column: Column; descending: boolean } = BY_VALUE) =>
  grouped(ALL, { ...NO_FILTER, ...filter }, sorting).map(({ positions }) => positions.map(({ symbol }) => symbol));

test("what counts, what has no sure price and what is hidden are apart; a flagged price is not sure", () => {
  const [priced, unpriced, hidden] = grouped(ALL, NO_FILTER, BY_VALUE);
  expect([priced?.count, unpriced?.count, hidden?.count]).toEqual([PRICED.length, 4, SPAM.length]);
  expect(unpriced?.positions.map(({ symbol }) => symbol)).toContain("MOOND");
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
  const [priced, unpriced] = shown({ hideSmall: true });
  expect(priced).not.toContain("SHIB");
  expect(unpriced).toHaveLength(4);
});

describe("sorted", () => {
  test("by value it is exact beyond a float's digits", () => {
    const near = ["1.000000000000000001", "1", "1.000000000000000002"].map((amount, index) =>
      position({ symbol: amount, name: null, chainId: 1, token: `0x${index}`, amount, price: "1" }),
    );
    const [{ positions } = { positions: [] }] = grouped(near, NO_FILTER, BY_VALUE);
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
