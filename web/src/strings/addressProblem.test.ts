import fc from "fast-check";
import { expect, test } from "vitest";
import { shapeProblem } from "./addressProblem";

const ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7";

test("an address is one in any case, with space around it", () => {
  const hex = fc.array(fc.constantFrom(..."0123456789abcdefABCDEF"), { minLength: 40, maxLength: 40 });
  fc.assert(
    fc.property(hex, fc.constantFrom("", " ", "\n"), (digits, space) => {
      expect(shapeProblem(`${space}0x${digits.join("")}${space}`)).toBeNull();
    }),
  );
});

test("a mistyped one says what is wrong with it", () => {
  expect(shapeProblem("")).toMatch(/^Paste an address/);
  expect(shapeProblem(ADDRESS.slice(2))).toBe("An address begins with 0x.");
  expect(shapeProblem(ADDRESS.slice(0, -1))).toBe("It is 1 character short: an address has 40 after 0x.");
  expect(shapeProblem(`${ADDRESS}ab`)).toBe("It is 2 characters too long: an address has 40 after 0x.");
  expect(shapeProblem(ADDRESS.replace("9", "O"))).toBe(
    "“O” can’t be part of an address: after 0x there are only 0–9 and a–f.",
  );
  expect(shapeProblem(`${ADDRESS} ${ADDRESS}`)).toMatch(/one address at a time/);
  expect(shapeProblem("vitalik.eth")).toBe("Names are not looked up. Paste the address behind it.");
});

test("one that is registered already is not taken twice, in whichever case it is typed", () => {
  expect(shapeProblem(ADDRESS, [ADDRESS.toLowerCase()])).toBe("This address is in your portfolio already.");
});
