import { expect, test } from "vitest";
import { CHAINS } from "../../fixtures/replies";
import { Chains } from "../chains";
import { clock } from "../format/time";
import type { Changes } from "../sync/changes";
import { changeWords, spoken, summaryWords, unreadWords } from "./syncResult";

const chains = new Chains(CHAINS);

const AT = "2025-11-03T12:04:00Z";
const NONE: Changes = { held: [], spam: 0, total: "0", first: null };
const USDC = { chainId: 8453, tokenAddress: "0x01", symbol: "USDC" };

test("a change has its sign, amount, token and chain; all digits are at hand", () => {
  expect(changeWords({ ...USDC, amount: "12.5" }, chains)).toEqual({
    text: "+ 12.5 USDC on Base",
    exact: "+ 12.5 USDC",
  });
  expect(changeWords({ ...USDC, amount: "-1234.123456789012345678" }, chains)).toEqual({
    text: "− 1,234.12 USDC on Base",
    exact: "− 1,234.123456789012345678 USDC",
  });
});

test("a hostile name is cut and cleaned, and one without a name is said to be so", () => {
  const hostile = `\u202eEVIL\u0000${"X".repeat(90)}`;
  const { text, exact } = changeWords({ ...USDC, symbol: hostile, amount: "1" }, chains);
  expect(text).toMatch(/^\+ 1 EVILX+… on Base$/);
  expect(`${text}${exact}`).not.toMatch(/[\u202e\0]/);
  expect(changeWords({ ...USDC, symbol: null, amount: null }, chains).text).toBe(
    "a token without a name on Base changed, by an unknown amount",
  );
});

test("the summary says what is so and no more", () => {
  expect(summaryWords(NONE)).toBe("Nothing changed");
  expect(summaryWords({ ...NONE, total: "0.004" })).toBe("Nothing changed");
  expect(summaryWords({ ...NONE, total: "-12.5" })).toBe("No amount changed; the total moved by −$12.50");
  expect(summaryWords({ ...NONE, spam: 2 })).toBe("Only spam arrived (2 tokens, hidden)");
  expect(summaryWords({ ...NONE, first: { tokens: 24, chains: 1 } })).toBe("Found 24 tokens on 1 chain");
  expect(summaryWords({ ...NONE, first: { tokens: 0, chains: 0 } })).toBe("Read: nothing is held here");
  expect(summaryWords(null)).toBe("Done");
});

test("a chain that was not read says since when its amounts stand", () => {
  const chain = { chainId: 137, state: "failed", reason: null, code: null, retryAt: null } as const;
  expect(unreadWords({ ...chain, staleSince: AT }, chains)).toBe(
    `Polygon did not answer. Its amounts are as of ${clock(AT)}.`,
  );
  expect(unreadWords({ ...chain, staleSince: null }, chains)).toBe(
    "Polygon did not answer. Its amounts are not known yet.",
  );
});

test("who listens hears the first changes and what is missing, once", () => {
  const held = ["1", "2", "3", "4"].map((amount) => ({ ...USDC, amount }));
  const unread = [
    { chainId: 137, state: "failed", reason: null, code: null, retryAt: null, staleSince: null } as const,
  ];
  expect(spoken({ endedAt: 0, changes: { ...NONE, held }, unread: [...unread], failure: null }, chains)).toBe(
    "Sync done. + 1 USDC on Base. + 2 USDC on Base. + 3 USDC on Base. 1 more change. Polygon did not answer.",
  );
});
