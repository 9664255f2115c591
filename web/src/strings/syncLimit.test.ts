import { expect, test } from "vitest";
import { clock } from "../format/time";
import { limitWords } from "./syncLimit";

const RESET = "2025-11-03T12:10:00Z";
const NOW = Date.parse("2025-11-03T12:06:40Z");

test("while syncs are left it says how many", () => {
  expect(limitWords({ remainingRequests: 5, maxRequests: 5, resetTime: null }, NOW).left).toBe("5 of 5 syncs left");
  expect(limitWords({ remainingRequests: 3, maxRequests: 5, resetTime: RESET }, NOW)).toEqual({
    left: "3 of 5 syncs left",
    reached: null,
    returnsIn: null,
  });
});

test("when none is left it says at what time one comes back, and how long that is", () => {
  expect(limitWords({ remainingRequests: 0, maxRequests: 5, resetTime: RESET }, NOW)).toEqual({
    left: "",
    reached: `All 5 syncs are used. The next one comes back at ${clock(RESET)}`,
    returnsIn: 200_000,
  });
});

test("one that has come back in the meantime can be used without asking the server again", () => {
  const later = Date.parse(RESET);
  expect(limitWords({ remainingRequests: 0, maxRequests: 5, resetTime: RESET }, later - 1).reached).not.toBeNull();
  expect(limitWords({ remainingRequests: 0, maxRequests: 5, resetTime: RESET }, later)).toEqual({
    left: "1 of 5 syncs left",
    reached: null,
    returnsIn: null,
  });
});
