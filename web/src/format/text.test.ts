import fc from "fast-check";
import { expect, test } from "vitest";
import { counted, escaped, safeText, shortAddress } from "./text";

test.each([
  ["USD Coin", "USD Coin"],
  ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
  ["\u202eCDSU\u202c", "CDSU"],
  ["a\u0000b\u001b[31m\u200bc\ufeff", "ab[31mc"],
  ["line\u2028break\nnew", "linebreaknew"],
  ["  much   space ", "much space"],
  [null, ""],
])("%j is shown as %j", (text, shown) => expect(safeText(text)).toBe(shown));

test("a long name is cut by characters, not by halves of them", () => {
  expect(safeText("x".repeat(500))).toBe(`${"x".repeat(39)}…`);
  expect(safeText("🌕".repeat(41))).toBe(`${"🌕".repeat(39)}…`);
  expect(safeText("abcdef", 4)).toBe("abc…");
});

test("marks do not pile up", () => {
  expect(safeText(`e${"\u0301".repeat(50)}`)).toBe("e\u0301\u0301");
});

test("whatever comes in, nothing unseen comes out, nor more than was allowed", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      const shown = safeText(text);
      return [...shown].length <= 40 && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(shown);
    }),
  );
});

test("a hover shows all of a name, and writes out what can't be seen", () => {
  expect(escaped("\u202eCDSU")).toBe("\\u{202e}CDSU");
  expect(escaped("x".repeat(500))).toHaveLength(500);
});

test("addresses keep their ends", () => {
  expect(shortAddress("0x52908400098527886e0f7030069857d2e4169ee7")).toBe("0x5290…9ee7");
  expect(shortAddress("0x1")).toBe("0x1");
});

test("nouns follow their number", () => {
  expect(counted(1, "token")).toBe("1 token");
  expect(counted(3000, "token")).toBe("3,000 tokens");
});
