import { expect, test } from "vitest";
import { ago, clock, countdown, moment } from "./time";

const now = Date.parse("2025-11-03T12:04:40Z");

test.each([
  ["2025-11-03T12:04:00Z", "40 s ago"],
  ["2025-11-03T12:04:39Z", "just now"],
  ["2025-11-03T12:05:40Z", "just now"],
  ["2025-11-03T11:59:41Z", "4 min ago"],
  ["2025-11-03T09:04:40Z", "3 h ago"],
  ["2025-11-01T12:04:39Z", "2 d ago"],
])("%s was %s", (time, text) => expect(ago(time, now)).toBe(text));

test.each([
  [0, "0:00"],
  [-5, "0:00"],
  [1, "0:01"],
  [245_000, "4:05"],
  [3_600_000, "1:00:00"],
])("%d ms count down as %s", (ms, text) => expect(countdown(ms)).toBe(text));

test("a moment names the day where it is not today's", () => {
  expect(moment("2025-11-03T12:04:00Z", now)).toBe(clock("2025-11-03T12:04:00Z"));
  expect(moment("2025-11-01T12:04:00Z", now)).toBe(`1 Nov ${clock("2025-11-01T12:04:00Z")}`);
  expect(moment("2023-11-01T12:04:00Z", now)).toBe("1 Nov 2023");
});
