import { expect, test } from "vitest";
import type { Operation } from "../api/schema";
import { historyCsv } from "./historyCsv";

test("each sync is a row; what holds a comma is quoted and what is unknown is empty", () => {
  const operation: Operation = {
    syncOperationId: "018f",
    type: "manual",
    status: "failed",
    priority: "high",
    trigger: "manual",
    startedAt: "2025-11-03T12:00:00Z",
    completedAt: null,
    durationMs: null,
    tokensSynced: 0,
    chainsSynced: 0,
    totalValueUsd: null,
    errorCode: "handed_back",
    errorMessage: "=cmd()",
    retryCount: 0,
    portfolioVersion: null,
  };
  expect(historyCsv([operation]).split("\r\n")).toEqual([
    "started,ended,duration_ms,outcome,why,chains,tokens,total_usd,reason,id",
    '2025-11-03T12:00:00Z,,,Failed,You asked,0,0,,"It was stopped before it began, and waits again",018f',
    "",
  ]);
});
