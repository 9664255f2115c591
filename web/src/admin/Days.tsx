import type { DayOfSyncs } from "../api/schema";
import { duration } from "../format/time";
import { Table } from "./Table";

const count = (value: number) => value.toLocaleString("en-US");

/** Each day in numbers. */
export function Days({ days }: { days: readonly DayOfSyncs[] }) {
  return (
    <Table
      title="Days (UTC)"
      none="No sync has ended yet."
      columns={[
        { name: "Day" },
        { name: "Syncs", kind: "number" },
        { name: "Completed", kind: "number" },
        { name: "Partial", kind: "number" },
        { name: "Failed", kind: "number" },
        { name: "Users", kind: "number" },
        { name: "Average", kind: "number" },
        { name: "Calls", kind: "number" },
        { name: "Compute units", kind: "number" },
      ]}
      rows={days.map((day) => ({
        key: day.date,
        cells: [
          day.date,
          count(day.totalSyncs),
          count(day.completedSyncs),
          count(day.partialSyncs),
          count(day.failedSyncs),
          count(day.uniqueUsers),
          day.avgDurationMs === null ? "" : duration(day.avgDurationMs),
          count(day.providerCalls),
          count(day.computeUnits),
        ],
      }))}
    />
  );
}
