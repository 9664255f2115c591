import type { SyncQueue } from "../api/schema";
import { counted, safeText } from "../format/text";
import { clock, length, moment } from "../format/time";
import { useNow } from "../state/hooks";
import styles from "./QueueTables.module.css";
import { State } from "./State";
import { Table } from "./Table";

/** What waits: users, requests, events. */
export function Backlog({ queue: { users, requests, outbox, dagsterUrl } }: { queue: SyncQueue }) {
  const figures = [
    {
      name: "Users due",
      value: users.due,
      more: `of ${users.registered.toLocaleString("en-US")}`,
      age: users.longestDueSeconds,
    },
    { name: "Requests waiting", value: requests.pending, more: "", age: requests.oldestSeconds },
    { name: "Events unpublished", value: outbox.unpublished, more: "", age: outbox.oldestSeconds },
  ];
  return (
    <section aria-labelledby="queue" className={styles.backlog}>
      <div className={styles.head}>
        <h2 id="queue">SyncQueue</h2>
        {dagsterUrl && (
          <a href={dagsterUrl} target="_blank" rel="noreferrer">
            Dagster’s pages
          </a>
        )}
      </div>
      <dl className={styles.figures}>
        {figures.map(({ name, value, more, age }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <span className={styles.value}>{value.toLocaleString("en-US")}</span> {more}
              {value > 0 && <span className={styles.age}>for up to {length(age * 1000)}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** The syncs under way. */
export function Running({ running, dagsterUrl }: Pick<SyncQueue, "running" | "dagsterUrl">) {
  const now = useNow();
  return (
    <Table
      title="Running syncs"
      none="None runs."
      aside={running.length > 0 && counted(running.length, "sync")}
      columns={[
        { name: "User" },
        { name: "Trigger" },
        { name: "For", kind: "number" },
        { name: "Worker" },
        { name: "Run" },
      ]}
      rows={running.map(({ syncOperationId, userId, trigger, startedAt, workerId, runId }) => ({
        key: syncOperationId,
        cells: [
          safeText(userId, 60),
          trigger,
          length(now - Date.parse(startedAt)),
          safeText(workerId),
          dagsterUrl && runId ? (
            <a key="run" href={`${dagsterUrl}/runs/${encodeURIComponent(runId)}`} target="_blank" rel="noreferrer">
              {runId.slice(0, 8)}
            </a>
          ) : (
            runId?.slice(0, 8)
          ),
        ],
      }))}
    />
  );
}

/** The processes that carry syncs. */
export function Workers({ workers }: Pick<SyncQueue, "workers">) {
  const now = useNow(60_000);
  return (
    <Table
      title="Workers"
      none="None is registered: requests wait."
      columns={[
        { name: "Worker" },
        { name: "State" },
        { name: "Host" },
        { name: "Process", kind: "number" },
        { name: "Since" },
        { name: "Recovered in", kind: "number" },
      ]}
      rows={workers.map(({ id, host, pid, startedAt, alive, recoveryMs }) => ({
        key: id,
        cells: [
          safeText(id, 60),
          <State key="state" tone={alive ? "good" : "danger"}>
            {alive ? "alive" : "lost"}
          </State>,
          safeText(host, 60),
          pid,
          moment(startedAt, now),
          recoveryMs === null ? "" : `${recoveryMs.toLocaleString("en-US")} ms`,
        ],
      }))}
    />
  );
}

/** Rate limits that grant nothing for a while. */
export function Blocks({ blocks }: Pick<SyncQueue, "blocks">) {
  return (
    <Table
      title="Rate limit blocks"
      none="None."
      columns={[{ name: "Key" }, { name: "Since" }, { name: "Until" }, { name: "Reason", kind: "prose" }]}
      rows={blocks.map(({ key, since, until, reason }) => ({
        key,
        cells: [safeText(key, 80), clock(since), clock(until), safeText(reason, 300)],
      }))}
    />
  );
}
