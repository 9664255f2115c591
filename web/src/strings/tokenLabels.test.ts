import { expect, test } from "vitest";
import { flagNote, notCountedReason, notCountedShort, sourceName, spamReason, useOfQuote } from "./tokenLabels";

test("a code that this page does not know yet is uncertain, never nothing", () => {
  expect(notCountedShort("a_reason_of_tomorrow")).toBe("uncertain price");
  expect(notCountedReason("a_reason_of_tomorrow")).toBe("Its price is uncertain");
  expect(flagNote("a_flag_of_tomorrow")).toBe("Its price is uncertain");
  expect(spamReason("a_reason_of_tomorrow")).toBe("it looks like spam");
  expect(sourceName("<b>new</b>\u202e")).toBe("<b>new</b>");
});

test("a flag that keeps a position out is said in the same words as the reason", () => {
  expect(flagNote("price_jump")).toBe(notCountedReason("price_jump"));
});

test("the price that is used says why; one by a new code says what the server says", () => {
  expect(useOfQuote("chosen", "two_agree", "chosen: it agrees")).toBe("Used: another source agrees");
  expect(useOfQuote("chosen", "a_rule_of_tomorrow", "chosen")).toBe("Used");
  expect(useOfQuote("agrees", "two_agree", "agrees")).toBe("Agrees");
  expect(useOfQuote("parked", null, "It waits for the next block.")).toBe("It waits for the next block.");
  expect(useOfQuote("parked", null, "")).toBe("Not used");
});
