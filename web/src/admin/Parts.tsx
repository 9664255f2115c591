import type { Readiness } from "../api/schema";
import { safeText } from "../format/text";
import { milliseconds, PARTS } from "../strings/admin";
import { State } from "./State";
import { Table } from "./Table";

/** Each part that the gateway stands on. */
export function Parts({ readiness }: { readiness: Readiness }) {
  const isReady = readiness.status === "ready";
  return (
    <Table
      title={PARTS.title}
      none={PARTS.none}
      aside={<State tone={isReady ? "good" : "danger"}>{isReady ? PARTS.ready : PARTS.notReady}</State>}
      columns={[
        { name: PARTS.columns.part },
        { name: PARTS.columns.state },
        { name: PARTS.columns.latency, kind: "number" },
        { name: PARTS.columns.wrong, kind: "prose" },
      ]}
      rows={Object.entries(readiness.dependencies).map(([name, { ok, needed, latencyMs, error }]) => ({
        key: name,
        cells: [
          name,
          <State key="state" tone={ok ? "good" : needed ? "danger" : "warn"}>
            {ok ? PARTS.up : needed ? PARTS.down : PARTS.notNeeded}
          </State>,
          milliseconds(latencyMs),
          safeText(error, 400),
        ],
      }))}
    />
  );
}
