import { expect, test } from "vitest";
import { lastDay, move, paths } from "./priceLine";

test("the last day is a seventh of the week, from the price of a day ago on", () => {
  const week = Array.from({ length: 168 }, (_, hour) => String(hour));
  expect(lastDay(week)).toEqual(week.slice(143));
});

test("in words a line has its lowest, its highest and its change", () => {
  expect(move(["2", "1.5", null, "3"])).toEqual({ low: "1.5", high: "3", change: "+50.0%" });
  expect(move(["4", "3"])?.change).toMatch(/^[−-]25\.0%$/);
});

test("extents are compared exactly, however many digits there are", () => {
  const [low, high] = ["1.0000000000000000000001", "1.0000000000000000000002"];
  expect(move([high, low])).toMatchObject({ low, high });
});

test("of fewer than two prices there is no move", () => {
  expect(move([])).toBeNull();
  expect(move([null, "1", null])).toBeNull();
});

test("what was not read is a gap, not a line across", () => {
  expect(paths(["0", "1", null, "1", "0"], 4, 10)).toEqual(["M0.0 10.0L1.0 0.0", "M3.0 0.0L4.0 10.0"]);
});

test("a flat line lies in the middle", () => {
  expect(paths(["5", "5"], 10, 8)).toEqual(["M0.0 4.0L10.0 4.0"]);
});
