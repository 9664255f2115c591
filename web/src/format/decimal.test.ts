import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { absolute, add, compare, multiply, parse, percentOf, round, sign, subtract, sum, toText } from "./decimal";

/** Of up to 78 digits, as the largest balance of a token has, and up to 30 after the point. */
const decimals = fc
  .record({ units: fc.bigInt({ min: -(10n ** 78n), max: 10n ** 78n }), scale: fc.integer({ min: 0, max: 30 }) })
  .map(toText);

test("what is parsed is written back without change", () => {
  fc.assert(fc.property(decimals, (value) => toText(parse(value)) === value));
});

test("sums are exact: what was added can be taken away again", () => {
  fc.assert(fc.property(decimals, decimals, (a, b) => subtract(add(a, b), b) === a));
});

test("products are those of the integers", () => {
  fc.assert(fc.property(decimals, (a) => multiply(a, "1000") === add(multiply(a, "999"), a)));
});

test("order is that of the differences, of neighbours too", () => {
  expect(compare("1.000000000000000001", "1")).toBe(1);
  expect(compare(`1${"0".repeat(76)}1`, `1${"0".repeat(76)}2`)).toBe(-1);
  fc.assert(fc.property(decimals, decimals, (a, b) => Math.sign(compare(a, b)) === sign(subtract(a, b))));
});

test("rounding moves a value by half of its last digit at most", () => {
  fc.assert(
    fc.property(decimals, fc.integer({ min: 0, max: 20 }), (value, digits) => {
      const difference = absolute(subtract(round(value, digits), value));
      return compare(multiply(difference, "2"), toText({ units: 1n, scale: digits })) <= 0;
    }),
  );
});

test("shares are percents, rounded half away from zero, and unknown of nothing", () => {
  expect(percentOf("1", "3")).toBe("33.3");
  expect(percentOf("-1", "8", 2)).toBe("-12.5");
  expect(percentOf("1", "2000")).toBe("0.1");
  expect(percentOf("0", "5")).toBe("0");
  expect(percentOf("5", "0")).toBeNull();
  expect(percentOf("1", "0.000000000000000001", 0)).toBe("100000000000000000000");
});

describe("notation", () => {
  test.each(["1e5", "", ".", "0x10", "1,000", "NaN", " 1"])("refuses %j", (value) => {
    expect(() => parse(value)).toThrow(RangeError);
  });

  test.each([
    ["007.500", "7.5"],
    ["-0.0", "0"],
    ["+3.", "3"],
    [`1${"0".repeat(77)}`, `1${"0".repeat(77)}`],
    ["0.000000000000000001", "0.000000000000000001"],
  ])("reads %s as %s", (value, text) => {
    expect(toText(parse(value))).toBe(text);
  });
});

test("many values are summed as one after the other", () => {
  fc.assert(fc.property(fc.array(decimals), (values) => sum(values) === values.reduce(add, "0")));
});
