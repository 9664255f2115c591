import { expect, test } from "vitest";
import type { History } from "../../api/schema";
import { line, nearest, path } from "./line";

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
