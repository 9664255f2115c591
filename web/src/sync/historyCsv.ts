/** The history of syncs as a spreadsheet. */
import type { Operation } from "../api/schema";
import { operationReason, STATUSES, TRIGGERS } from "../strings/syncLabels";

const COLUMNS: [string, (operation: Operation) => string | number | null][] = [
  ["started", (operation) => operation.startedAt],
  ["ended", (operation) => operation.completedAt],
  ["duration_ms", (operation) => operation.durationMs],
  ["outcome", (operation) => STATUSES[operation.status]],
  ["why", (operation) => TRIGGERS[operation.trigger]],
  ["chains", (operation) => operation.chainsSynced],
  ["tokens", (operation) => operation.tokensSynced],
  ["total_usd", (operation) => operation.totalValueUsd],
  ["reason", operationReason],
  ["id", (operation) => operation.syncOperationId],
];

export function historyCsv(operations: readonly Operation[]): string {
  const rows = [
    COLUMNS.map(([name]) => name),
    ...operations.map((operation) => COLUMNS.map(([, read]) => field(read(operation)))),
  ];
  return rows.map((row) => `${row.join(",")}\r\n`).join("");
}

function field(value: string | number | null): string {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
