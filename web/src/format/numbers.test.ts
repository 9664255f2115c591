import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amount, full, percent, price, usd, usdParts, usdShort, usdSigned } from "./numbers";

describe("dollars", () => {
  test.each([
    ["1234.5", "$1,234.50"],
    ["0", "$0.00"],
    ["0.009", "<$0.01"],
    ["0.01", "$0.01"],
    ["0.000000000000000001", "<$0.01"],
    ["-0.001", "−<$0.01"],
    ["-1234.5", "−$1,234.50"],
    ["1000000000000000000000", "$1,000,000,000,000,000,000,000.00"],
    ["9007199254740993.01", "$9,007,199,254,740,993.01"],
  ])("%s is %s", (value, text) => expect(usd(value)).toBe(text));

  test("of an unknown value are unknown, not nothing", () => expect(usd(null)).toBe("unknown"));

  test("of a change have their sign", () => {
    expect(usdSigned("12")).toBe("+$12.00");
    expect(usdSigned("-12")).toBe("−$12.00");
    expect(usdSigned("0")).toBe("$0.00");
  });

  test("are short where there is little room", () => {
    expect(usdShort("1234.5")).toBe("$1,234.50");
    expect(usdShort(`12${"0".repeat(20)}.5`)).toBe("$1.2 × 10²¹");
  });

  test("come in two parts that make the whole", () => {
    expect(usdParts("12345.678")).toEqual({ whole: "$12,345", cents: ".68" });
    expect(usdParts("-0.5")).toEqual({ whole: "−$0", cents: ".50" });
  });
});

describe("amounts", () => {
  test.each([
    ["1", "1"],
    ["1234567.891", "1,234,568"],
    ["12.3456789", "12.3457"],
    ["0.123456789", "0.123457"],
    ["0.000012345678", "0.0₄123457"],
    ["0.000000000000000001", "0.0₁₇1"],
    ["0", "0"],
    ["999999999999999", "999,999,999,999,999"],
    ["1234000000000000.5", "1.23 × 10¹⁵"],
    [`1${"0".repeat(21)}`, "1 × 10²¹"],
    [`9${"9".repeat(77)}`, "9.99 × 10⁷⁷"],
  ])("%s is %s", (value, text) => expect(amount(value)).toBe(text));

  test("of unknown decimals are unknown", () => expect(amount(null)).toBe("unknown"));

  test("keep every digit where they are shown in full", () => {
    const digits = fc.stringMatching(/^[1-9]\d{0,77}$/);
    fc.assert(fc.property(digits, (value) => full(value).replaceAll(",", "") === value));
    expect(full("0.000000000000000001")).toBe("0.000000000000000001");
  });
});

describe("prices", () => {
  test.each([
    ["3012.4567", "$3,012.46"],
    ["1", "$1.00"],
    ["0.99984", "$0.9998"],
    ["0.05", "$0.05"],
    ["0.0000012", "$0.0₅12"],
    ["0.00001", "$0.0₄1"],
    ["0.000000000000000001", "$0.0₁₇1"],
    ["0", "$0.00"],
  ])("%s is %s", (value, text) => expect(price(value)).toBe(text));

  test("of tokens without one are unknown", () => expect(price(null)).toBe("unknown"));
});

describe("percents", () => {
  test.each([
    ["4.25", "+4.3%"],
    ["-0.31", "−0.3%"],
    ["0", "0%"],
    ["0.04", "<0.1%"],
    ["-0.04", "<0.1%"],
    ["123456.7", "+123,457%"],
    ["-100", "−100.0%"],
  ])("%s is %s", (value, text) => expect(percent(value, true)).toBe(text));

  test("without a sign where none is asked for", () => expect(percent("33.3")).toBe("33.3%"));
});
