import type { SyncQueue } from "../api/schema";
import { counted, safeText } from "../format/text";
import { clock, length, moment } from "../format/time";
import { useNow } from "../state/hooks";
import { BLOCKS, forUpTo, milliseconds, ofAll, QUEUE, RUNNING, WORKERS } from "../strings/admin";
import styles from "./QueueTables.module.css";
import { State } from "./State";
import { Table } from "./Table";

/** What waits: users, requests, events. */
export function Backlog({ queue: { users, requests, outbox, dagsterUrl } }: { queue: SyncQueue }) {
  const figures = [
    {
      name: QUEUE.due,
      value: users.due,
      more: ofAll(users.registered),
      age: users.longestDueSeconds,
    },
    { name: QUEUE.requests, value: requests.pending, more: "", age: requests.oldestSeconds },
    { name: QUEUE.events, value: outbox.unpublished, more: "", age: outbox.oldestSeconds },
  ];
  return (
    <section aria-labelledby="queue" className={styles.backlog}>
      <div className={styles.head}>
        <h2 id="queue">{QUEUE.title}</h2>
        {dagsterUrl && (
          <a href={dagsterUrl} target="_blank" rel="noreferrer">
            {QUEUE.dagster}
          </a>
        )}
      </div>
      <dl className={styles.figures}>
        {figures.map(({ name, value, more, age }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <span className={styles.value}>{value.toLocaleString("en-US")}</span> {more}
              {value > 0 && <span className={styles.age}>{forUpTo(age)}</span>}
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
      title={RUNNING.title}
      none={RUNNING.none}
      aside={running.length > 0 && counted(running.length, "sync")}
      columns={[
        { name: RUNNING.columns.user },
        { name: RUNNING.columns.trigger },
        { name: RUNNING.columns.lasts, kind: "number" },
        { name: RUNNING.columns.worker },
        { name: RUNNING.columns.run },
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
      title={WORKERS.title}
      none={WORKERS.none}
      columns={[
        { name: WORKERS.columns.worker },
        { name: WORKERS.columns.state },
        { name: WORKERS.columns.host },
        { name: WORKERS.columns.process, kind: "number" },
        { name: WORKERS.columns.since },
        { name: WORKERS.columns.recovered, kind: "number" },
      ]}
      rows={workers.map(({ id, host, pid, startedAt, alive, recoveryMs }) => ({
        key: id,
        cells: [
          safeText(id, 60),
          <State key="state" tone={alive ? "good" : "danger"}>
            {alive ? WORKERS.alive : WORKERS.lost}
          </State>,
          safeText(host, 60),
          pid,
          moment(startedAt, now),
          recoveryMs === null ? "" : milliseconds(recoveryMs),
        ],
      }))}
    />
  );
}

/** Rate limits that grant nothing for a while. */
export function Blocks({ blocks }: Pick<SyncQueue, "blocks">) {
  return (
    <Table
      title={BLOCKS.title}
      none={BLOCKS.none}
      columns={[
        { name: BLOCKS.columns.key },
        { name: BLOCKS.columns.since },
        { name: BLOCKS.columns.until },
        { name: BLOCKS.columns.reason, kind: "prose" },
      ]}
      rows={blocks.map(({ key, since, until, reason }) => ({
        key,
        cells: [safeText(key, 80), clock(since), clock(until), safeText(reason, 300)],
      }))}
    />
  );
}
