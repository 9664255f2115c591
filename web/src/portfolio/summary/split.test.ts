import fc from "fast-check";
import { expect, test } from "vitest";
import { FLAGGED, LOW_LIQUIDITY, PRICED, SPAM, UNPRICED } from "../../../fixtures/positions";
import { CHAINS, portfolio } from "../../../fixtures/replies";
import { Chains } from "../../chains";
import { split, tenthsOf, tenthsText } from "./split";

const chains = new Chains(CHAINS);

test("shares sum to 100 %, and each is off by less than a tenth of a percent", () => {
  const values = fc.array(fc.bigInt({ min: 1n, max: 10n ** 40n }).map(String), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(values, (given) => {
      const shares = tenthsOf(given);
      const total = given.reduce((sum, value) => sum + BigInt(value), 0n);
      const isNear = shares.every((share, index) => {
        const off = BigInt(share) * total - BigInt(given[index] ?? "0") * 1000n;
        return off < total && off > -total;
      });
      return isNear && shares.reduce((sum, share) => sum + share, 0) === 1000;
    }),
  );
});

test("a token is one over all chains; what does not count is no part", () => {
  const { parts, other, otherTenths } = split(
    portfolio([...PRICED, ...UNPRICED, ...FLAGGED, ...LOW_LIQUIDITY, ...SPAM]),
    "token",
    chains,
  );
  expect(parts[0]).toMatchObject({ label: "ETH", chainId: null });
  expect([...parts, ...other].filter(({ label }) => label === "ETH")).toHaveLength(1);
  for (const left of ["MOOND", "ORBX"]) expect([...parts, ...other].map(({ label }) => label)).not.toContain(left);
  expect(parts).toHaveLength(6);
  expect(parts.reduce((sum, { tenths }) => sum + tenths, otherTenths)).toBe(1000);
});

test("by chain there are as many parts as chains with a value", () => {
  expect(split(portfolio(PRICED), "chain", chains).parts.map(({ label }) => label)).toEqual([
    "Ethereum",
    "Base",
    "Arbitrum",
    "Polygon",
    "Optimism",
  ]);
});

test("nothing has no parts", () => {
  expect(split(portfolio(SPAM), "token", chains)).toEqual({ parts: [], other: [], otherTenths: 0 });
});

test("what rounds to nothing is not called nothing", () => {
  expect([tenthsText(0), tenthsText(5), tenthsText(1000)]).toEqual(["<0.1%", "0.5%", "100.0%"]);
});
