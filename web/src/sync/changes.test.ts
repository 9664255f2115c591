import { expect, test } from "vitest";
import type { Portfolio, Position } from "../api/schema";
import { changesBetween } from "./changes";

const USDC = held({ symbol: "USDC", chainId: 8453, decimals: 6, priceUsd: "1" });
const WETH = held({ symbol: "WETH", chainId: 1, priceUsd: "3000" });

function held(changes: Partial<Position>): Position {
  return {
    walletAddress: "0x01",
    chainId: 1,
    tokenAddress: `0x${changes.symbol}`,
    isNative: false,
    symbol: null,
    name: null,
    decimals: 18,
    balance: "0",
    amount: null,
    priceUsd: null,
    priceSource: null,
    priceAt: null,
    valueUsd: null,
    change24h: null,
    isSpam: false,
    spamReasons: [],
    flags: [],
    stale: false,
    logoUrl: null,
    isCounted: true,
    notCountedReason: null,
    ...changes,
  };
}

function portfolio(
  positions: Position[],
  totalValueUsd = "0",
  asOf: string | null = "2025-11-03T12:00:00Z",
): Portfolio {
  const omitted = { unpriced: 0, spam: 0, flagged: 0, lowLiquidity: 0, unread: 0, staleChains: [] };
  return { userId: "ada", version: 1, asOf, totalValueUsd, complete: true, omitted, chains: [], positions };
}

test("more and less of a token, new ones and those that are gone are told exactly, the greatest in value first", () => {
  const before = portfolio([
    { ...USDC, balance: "100000000" },
    { ...WETH, balance: "123456789012345678901234567890" },
    held({ symbol: "GONE", balance: "5", decimals: 0, priceUsd: "0.1" }),
  ]);
  const after = portfolio([
    { ...USDC, balance: "112500000" },
    { ...WETH, balance: "123456789012345678901234567889" },
    held({ symbol: "NEW", balance: "10000000000000000000000", chainId: 10, priceUsd: "0.5" }),
  ]);
  expect(changesBetween(before, after).held.map(({ symbol, amount }) => [symbol, amount])).toEqual([
    ["NEW", "10000"],
    ["USDC", "12.5"],
    ["GONE", "-5"],
    ["WETH", "-0.000000000000000001"],
  ]);
});

test("the same balances are no change, whatever prices did; the total says that", () => {
  const positions = [{ ...USDC, balance: "100000000" }];
  const repriced = [{ ...USDC, balance: "100000000", priceUsd: "0.99" }];
  const changes = changesBetween(portfolio(positions, "100.00"), portfolio(repriced, "99.001"));
  expect(changes).toEqual({ held: [], spam: 0, total: "-0.999", first: null });
});

test("what moves between one's own wallets is no change", () => {
  const before = portfolio([{ ...USDC, balance: "7" }]);
  const after = portfolio([
    { ...USDC, balance: "3" },
    { ...USDC, balance: "4", walletAddress: "0x02" },
  ]);
  expect(changesBetween(before, after).held).toEqual([]);
});

test("the same token on two chains is two", () => {
  const before = portfolio([{ ...USDC, balance: "7" }]);
  const after = portfolio([{ ...USDC, balance: "7", chainId: 1 }]);
  expect(changesBetween(before, after).held.map(({ chainId, amount }) => [chainId, amount])).toEqual([
    [1, "0.000007"],
    [8453, "-0.000007"],
  ]);
});

test("spam is counted when it is new, and is never a change", () => {
  const before = portfolio([held({ symbol: "OLD", balance: "1", isSpam: true })]);
  const after = portfolio([
    held({ symbol: "OLD", balance: "2", isSpam: true }),
    held({ symbol: "NEW", balance: "9", isSpam: true }),
  ]);
  const { held: changes, spam } = changesBetween(before, after);
  expect([changes, spam]).toEqual([[], 1]);
});

test("a change in a token without decimals, or a price to trust, is told after those with a value", () => {
  const before = portfolio([]);
  const after = portfolio([
    held({ symbol: "ODD", balance: "5", decimals: null, priceUsd: "9" }),
    held({ symbol: "FREE", balance: "5", decimals: 0 }),
    held({
      symbol: "PUMP",
      balance: "5",
      decimals: 0,
      priceUsd: "99999",
      isCounted: false,
      notCountedReason: "price_jump",
    }),
    { ...USDC, balance: "1" },
  ]);
  expect(changesBetween(before, after).held.map(({ symbol, amount }) => [symbol, amount])).toEqual([
    ["USDC", "0.000001"],
    ["ODD", null],
    ["FREE", "5"],
    ["PUMP", "5"],
  ]);
});

test("a first reading is what was found, not a change", () => {
  const after = portfolio(
    [{ ...USDC, balance: "1" }, { ...WETH, balance: "1" }, held({ symbol: "S", isSpam: true })],
    "5",
  );
  const { held: changes, first } = changesBetween(portfolio([], "0", null), after);
  expect([changes, first]).toEqual([[], { tokens: 2, chains: 2 }]);
});
