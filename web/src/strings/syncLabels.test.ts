import { expect, test } from "vitest";
import { STATES } from "../../fixtures/states";
import type { Operation } from "../api/schema";
import { chainNote, operationReason } from "./syncLabels";

test("why a chain is not fresh is said by its code, and where it has none as the server says it", () => {
  expect(chainNote({ reason: "alchemy did not answer in full within 8.0 s.", code: "timeout" })).toBe(
    "It took too long.",
  );
  expect(chainNote({ reason: "It knows no new tokens.", code: null })).toBe("It knows no new tokens.");
  expect(chainNote({ reason: null, code: null })).toBe("It did not answer since.");
});

test("a sync that was not whole says so by its code, and one of a code that is new says whose fault it is", () => {
  const reply = STATES.stale?.replies["GET /api/v1/sync/operations"];
  if (typeof reply !== "object") throw new Error("The state has no syncs.");
  const [partial] = (reply.body as { data: [Operation] }).data;
  expect(operationReason(partial)).toBe("4 chains answered, not all");
  const failed = (errorCode: string | null) => operationReason({ ...partial, status: "failed", errorCode });
  expect(failed("no_chain_read")).toBe("No chain answered");
  expect(failed("a_code_of_tomorrow")).toBe("Something went wrong on our side");
  expect(failed(null)).toBeNull();
});
