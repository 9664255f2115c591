import { expect, test } from "vitest";
import { PRICED } from "../../fixtures/positions";
import { portfolio } from "../../fixtures/replies";
import { sharing } from "./sharing";

test("positions that did not change stay the same objects", () => {
  const before = portfolio(PRICED);
  const next = structuredClone(before);
  next.version += 1;
  const [first, second, third] = next.positions;
  if (!first || !second || !third) throw new Error("too few positions");
  first.priceUsd = "1";
  second.flags = ["old_price"];
  const shared = sharing(before, next);
  expect(shared.version).toBe(before.version + 1);
  expect(shared.positions[0]).toBe(first);
  expect(shared.positions[1]).toBe(second);
  expect(shared.positions[2]).toBe(before.positions[2]);
});
