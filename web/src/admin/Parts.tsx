import type { Readiness } from "../api/schema";
import { safeText } from "../format/text";
import { State } from "./State";
import { Table } from "./Table";

/** Each part that the gateway stands on. */
export function Parts({ readiness }: { readiness: Readiness }) {
  const isReady = readiness.status === "ready";
  return (
    <Table
      title="Parts"
      none="None is looked at."
      aside={<State tone={isReady ? "good" : "danger"}>{isReady ? "Ready" : "Not ready"}</State>}
      columns={[
        { name: "Part" },
        { name: "State" },
        { name: "Latency", kind: "number" },
        { name: "What is wrong", kind: "prose" },
      ]}
      rows={Object.entries(readiness.dependencies).map(([name, { ok, needed, latencyMs, error }]) => ({
        key: name,
        cells: [
          name,
          <State key="state" tone={ok ? "good" : needed ? "danger" : "warn"}>
            {ok ? "up" : needed ? "down" : "down, not needed"}
          </State>,
          latencyMs === null ? "" : `${latencyMs} ms`,
          safeText(error, 400),
        ],
      }))}
    />
  );
}
