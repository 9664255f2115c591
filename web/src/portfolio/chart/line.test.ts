import { expect, test } from "vitest";
import type { History } from "../../api/schema";
import { aDayBefore, line, nearest, path } from "./line";

const now = Date.parse("2025-11-03T12:00:00Z");
const reading = (hoursAgo: number, totalValueUsd: string) => ({
  at: new Date(now - hoursAgo * 3_600_000).toISOString(),
  totalValueUsd,
  omitted: null,
});
const history = (changes: Partial<History>): History => ({
  days: 1,
  bucketSeconds: 900,
  gapSeconds: 3_600,
  before: null,
  points: [],
  walletsAdded: [],
  ...changes,
});

test("a gap longer than the server's bound parts the line", () => {
  const points = [reading(10, "1"), reading(9, "2"), reading(7.9, "3"), reading(7, "4")];
  const { runs } = line(history({ points }), now, 240, 100);
  expect(runs.map((run) => run.length)).toEqual([2, 2]);
});

test("time runs from left to right, value from the ground up", () => {
  const { spots, low, high } = line(
    history({ points: [reading(24, "5"), reading(12, "10"), reading(0, "7.5")] }),
    now,
    240,
    100,
  );
  expect(spots.map(({ x, y }) => [x, y])).toEqual([
    [0, 100],
    [120, 0],
    [240, 50],
  ]);
  expect([low?.totalValueUsd, high?.totalValueUsd]).toEqual(["5", "10"]);
});

test("the reading before the range leads into it, and can't be chosen", () => {
  const { runs, spots } = line(history({ before: reading(24.5, "1"), points: [reading(23.8, "2")] }), now, 240, 100);
  expect(runs[0]).toHaveLength(2);
  expect(spots).toHaveLength(1);
  const apart = line(history({ before: reading(48, "1"), points: [reading(23.8, "2")] }), now, 240, 100);
  expect(apart.runs.map((run) => run.length)).toEqual([1]);
});

test("a flat line lies in the middle", () => {
  const { spots } = line(history({ points: [reading(2, "9"), reading(1, "9")] }), now, 240, 100);
  expect(spots.map(({ y }) => Math.round(y))).toEqual([50, 50]);
});

test("nothing read is nothing drawn", () => {
  expect(line(history({}), now, 240, 100)).toMatchObject({ runs: [], spots: [], low: null, high: null });
});

test("paths have a dot for a lone reading, and the nearest spot is found", () => {
  const { runs, spots } = line(history({ points: [reading(12, "1"), reading(2, "2")] }), now, 240, 100);
  expect(runs.map(path)).toEqual(["M120.0 100.0h0", "M220.0 0.0h0"]);
  expect([nearest(spots, 0), nearest(spots, 180), nearest(spots, 999)]).toEqual([0, 1, 1]);
});

test("a wallet that joined and a chain that fell silent mark the first reading after it, once", () => {
  const omitted = { unpriced: 0, spam: 0, flagged: 0, lowLiquidity: 0, unread: 0, staleChains: [137] };
  const walletsAdded = [{ walletAddress: "0xabc", at: reading(9.5, "0").at }];
  const silent = (hoursAgo: number) => ({ ...reading(hoursAgo, "2"), omitted });
  const points = [reading(10, "1"), reading(9, "2"), silent(8), silent(7), reading(6, "2"), silent(5)];

  const { spots } = line(history({ points, walletsAdded }), now, 240, 100);

  expect(spots.map(({ events }) => events.map(({ kind }) => kind))).toEqual([
    [],
    ["wallet"],
    ["stale"],
    [],
    [],
    ["stale"],
  ]);
});

test("a day is drawn over the day before it, at the same hours", () => {
  const week = history({ days: 7, points: [reading(40, "1"), reading(36, "3"), reading(12, "2")] });
  const { dayBefore, spots } = line(history({ points: [reading(12, "2"), reading(0, "2")] }), now, 240, 100, week);

  expect(dayBefore.flat().map(({ x, y }) => [Math.round(x), Math.round(y)])).toEqual([
    [80, 100],
    [120, 0],
  ]);
  expect(spots.map(({ y }) => Math.round(y))).toEqual([50, 50]);
});

test("a reading is compared with the last one that is a day older, and with none that is much older", () => {
  const points = [reading(40, "1"), reading(24.5, "2"), reading(23, "3"), reading(0, "4")];
  const of = (hoursAgo: number, more = {}) =>
    aDayBefore(reading(hoursAgo, "4"), history({ points, ...more }))?.totalValueUsd;

  expect(of(0)).toBe("2");
  expect(of(12)).toBeUndefined();
  expect(of(18, { before: reading(42.2, "9") })).toBe("9");
});

test("the first day is one where nothing is older", () => {
  const young = { points: [reading(5, "1"), reading(0, "2")] };
  expect(line(history(young), now, 240, 100).isFirstDay).toBe(true);
  expect(line(history({ ...young, before: reading(90, "1") }), now, 240, 100).isFirstDay).toBe(false);
  expect(line(history({}), now, 240, 100).isFirstDay).toBe(false);
});
