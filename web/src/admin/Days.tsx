import type { DayOfSyncs } from "../api/schema";
import { duration } from "../format/time";
import { DAYS } from "../strings/admin";
import { Table } from "./Table";

const { columns } = DAYS;
const count = (value: number) => value.toLocaleString("en-US");

/** Each day in numbers. */
export function Days({ days }: { days: readonly DayOfSyncs[] }) {
  return (
    <Table
      title={DAYS.title}
      none={DAYS.none}
      columns={[
        { name: columns.day },
        { name: columns.syncs, kind: "number" },
        { name: columns.completed, kind: "number" },
        { name: columns.partial, kind: "number" },
        { name: columns.failed, kind: "number" },
        { name: columns.users, kind: "number" },
        { name: columns.average, kind: "number" },
        { name: columns.calls, kind: "number" },
        { name: columns.units, kind: "number" },
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
