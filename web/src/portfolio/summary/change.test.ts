import { expect, test } from "vitest";
import { PRICED, position } from "../../../fixtures/positions";
import type { History } from "../../api/schema";
import { dayChange, priceChange } from "./change";

const now = Date.parse("2025-11-03T12:00:00Z");
const at = (time: string, totalValueUsd: string) => ({ at: time, totalValueUsd, omitted: null });
const history = (changes: Partial<History>): History => ({
  days: 1,
  bucketSeconds: 900,
  gapSeconds: 3_600,
  before: null,
  points: [],
  walletsAdded: [],
  ...changes,
});

test("is against the last reading that is a day old", () => {
  const before = at("2025-11-02T11:55:00Z", "100");
  const points = [at("2025-11-02T12:05:00Z", "110"), at("2025-11-03T11:50:00Z", "120")];
  expect(dayChange("125", history({ before, points }), now)).toEqual({
    usd: "25",
    percent: "25",
    since: "2025-11-02T11:55:00Z",
    isDay: true,
  });
});

test("moves on with the hours, where the page stays open", () => {
  const before = at("2025-11-02T11:55:00Z", "100");
  const points = [at("2025-11-02T12:05:00Z", "110")];
  expect(dayChange("125", history({ before, points }), now + 600_000)?.usd).toBe("15");
});

test("says when it is against a reading of long before", () => {
  const before = at("2025-10-30T12:00:00Z", "200");
  expect(dayChange("150", history({ before }), now)).toMatchObject({ usd: "-50", percent: "-25", isDay: false });
});

test("is unknown without a reading, and has no percent of nothing", () => {
  expect(dayChange("125", history({ points: [at("2025-11-03T11:00:00Z", "1")] }), now)).toBeNull();
  expect(dayChange("125", history({ before: at("2025-11-02T11:00:00Z", "0") }), now)?.percent).toBeNull();
});

test("before there is a reading of a day ago, prices say what they did to what is held", () => {
  const held = { ...position({ symbol: "A", name: "A", chainId: 1, token: "0x1", amount: "1", price: "110" }) };
  const of = (valueUsd: string, change24h: string | null, isCounted = true) => ({
    ...held,
    valueUsd,
    change24h,
    isCounted,
  });

  expect(priceChange([of("110", "10"), of("90", "-10")])).toEqual({ usd: "0", percent: "0" });
  expect(priceChange([of("150", "50"), of("50", null), of("999", "5", false)])).toEqual({ usd: "50", percent: "50" });
  expect(priceChange([of("0", "-100"), of("50", null)])).toBeNull();
  expect(priceChange(PRICED)?.usd).toMatch(/^-?\d+/);
});
