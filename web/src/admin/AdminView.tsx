import { useCallback } from "react";
import type { Breaker, DayOfSyncs, SyncQueue } from "../api/schema";
import { useStore } from "../state/hooks";
import { ADMIN } from "../strings/admin";
import { ErrorNote } from "../ui/ErrorNote";
import styles from "./AdminView.module.css";
import { Breakers } from "./Breakers";
import { Days } from "./Days";
import { Parts } from "./Parts";
import { PauseControl } from "./PauseControl";
import { Backlog, Blocks, Running, Workers } from "./QueueTables";
import { readReadiness } from "./readiness";
import { usePolled } from "./usePolled";

const EVERY_MS = 5_000;
const DAYS_EVERY_MS = 60_000;

/** What operators see: parts, queue, breakers, days. */
export function AdminView() {
  const { session } = useStore();
  return (
    <div className={styles.view}>
      <h1 className={styles.title}>{ADMIN.title}</h1>
      {session.isAdmin ? <Operations /> : <p>{ADMIN.refused}</p>}
    </div>
  );
}

function Operations() {
  const { request } = useStore();
  const parts = usePolled(readReadiness, EVERY_MS);
  const askNow = useCallback(
    async (signal: AbortSignal) => {
      const [queue, breakers] = await Promise.all([
        request<SyncQueue>("/sync/queue", { signal }),
        request<Breaker[]>("/breakers", { signal }),
      ]);
      return { queue, breakers };
    },
    [request],
  );
  const now = usePolled(askNow, EVERY_MS);
  const askDays = useCallback(
    (signal: AbortSignal) => request<DayOfSyncs[]>("/sync/stats?days=14", { signal }),
    [request],
  );
  const days = usePolled(askDays, DAYS_EVERY_MS);

  const failed = now.failed ?? parts.failed ?? days.failed;
  return (
    <div className={styles.sections}>
      {failed && <ErrorNote what={failed.message} next={ADMIN.old} />}
      {parts.data && <Parts readiness={parts.data} />}
      {now.data && (
        <>
          <Backlog queue={now.data.queue} />
          <PauseControl pause={now.data.queue.pause} onChange={now.reload} />
          <Breakers breakers={now.data.breakers} onReset={now.reload} />
          <Blocks blocks={now.data.queue.blocks} />
          <Running running={now.data.queue.running} dagsterUrl={now.data.queue.dagsterUrl} />
          <Workers workers={now.data.queue.workers} />
        </>
      )}
      {days.data && <Days days={days.data} />}
    </div>
  );
}
