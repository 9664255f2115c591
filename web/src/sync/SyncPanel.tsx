import { useId } from "react";
import type { SyncStatus } from "../api/schema";
import { countdown } from "../format/time";
import { useChains, useLive, useNow, useSyncStatus } from "../state/hooks";
import { TRY_AGAIN } from "../strings/common";
import { type LimitWords, limitWords } from "../strings/syncLimit";
import { IN, nextAutomatic, PANEL, pausedSince } from "../strings/syncPanel";
import { triggerProblem } from "../strings/syncProblems";
import { spoken } from "../strings/syncResult";
import { Button } from "../ui/Button";
import { ErrorNote } from "../ui/ErrorNote";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import { ChainMarks } from "./ChainMarks";
import { type Mark, marks } from "./marks";
import styles from "./SyncPanel.module.css";
import { SyncResult } from "./SyncResult";
import { useSyncRun } from "./useSyncRun";

/** The one button that reads everything anew, how far that is, and what it changed. */
export function SyncPanel() {
  const { status } = useSyncStatus();
  const { progress } = useLive();
  const { isUnderWay, result, problem, start } = useSyncRun();
  const chains = useChains();
  const now = useNow();
  const title = useId();

  const limit = status && limitWords(status, now);
  // The limit has its own words, once the status knows of it.
  const words = problem && !(problem.code === "rate_limited" && limit?.reached) ? triggerProblem(problem) : null;
  const shownMarks = marks(progress, status?.runningOperation != null, chains, status?.chains ?? []);
  const shown = problem || isUnderWay ? null : result;
  return (
    <section className={styles.panel} aria-labelledby={title}>
      <h2 id={title} className={styles.title}>
        <VisuallyHidden>{PANEL.title}</VisuallyHidden>
      </h2>
      <div className={styles.action}>
        <Button
          kind="primary"
          className={isUnderWay ? `${styles.button} ${styles.behind}` : styles.button}
          unavailable={isUnderWay ? PANEL.underWay : whyNot(status, limit)}
          onClick={start}
        >
          {isUnderWay ? <VisuallyHidden>{PANEL.running}</VisuallyHidden> : PANEL.action}
        </Button>
        {isUnderWay && <ChainMarks marks={shownMarks} />}
      </div>
      <p className={styles.quiet}>
        {isUnderWay ? underWayWords(status, shownMarks) : limit && <Standing status={status} limit={limit} now={now} />}
      </p>
      {words && (
        <ErrorNote what={words.what} next={words.next}>
          {words.again && <Button onClick={start}>{TRY_AGAIN}</Button>}
        </ErrorNote>
      )}
      {shown && <SyncResult result={shown} />}
      <VisuallyHidden role="status">
        {isUnderWay ? PANEL.started : shown && !shown.failure ? spoken(shown, chains) : ""}
      </VisuallyHidden>
    </section>
  );
}

function whyNot(status: SyncStatus | null, limit: LimitWords | null): string | null {
  if (status?.pause) return PANEL.paused;
  return limit?.reached ? `${limit.reached}.` : null;
}

function underWayWords(status: SyncStatus | null, chains: readonly Mark[]): string {
  if (status?.pause) return pausedSince(status.pause);
  const unread = chains.filter(({ state }) => state === "failed" || state === "skipped");
  if (unread.length > 0) return unread.map(({ words }) => `${words}.`).join(" ");
  return status?.runningOperation ? PANEL.reading : PANEL.waiting;
}

/** What may be asked for, and what comes by itself. */
function Standing({ status, limit, now }: { status: SyncStatus; limit: LimitWords; now: number }) {
  if (status.pause) return <span className={styles.warn}>{pausedSince(status.pause)}</span>;
  const next = status.nextScheduledSync === null ? null : Date.parse(status.nextScheduledSync) - now;
  return (
    <>
      {limit.reached ?? limit.left}
      {limit.returnsIn !== null && (
        <>
          {IN}
          <span className={styles.countdown}>{countdown(limit.returnsIn)}</span>
        </>
      )}
      {next !== null && nextAutomatic(next)}
    </>
  );
}
