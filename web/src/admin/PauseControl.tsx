import { type FormEvent, useId, useState } from "react";
import { Problem } from "../api/client";
import type { SyncQueue } from "../api/schema";
import { safeText } from "../format/text";
import { clock } from "../format/time";
import { useStore } from "../state/hooks";
import { notChanged, PAUSE, pausedBy } from "../strings/admin";
import { Button } from "../ui/Button";
import styles from "./PauseControl.module.css";
import { State } from "./State";

interface Props {
  pause: SyncQueue["pause"];
  onChange: () => void;
}

/** Holds all syncs, with a reason for the operators who find them held, and lets them go on. */
export function PauseControl({ pause, onChange }: Props) {
  const { request } = useStore();
  const [reason, setReason] = useState("");
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const wrong = useId();

  const put = async (event: FormEvent) => {
    event.preventDefault();
    if (isAsking) return;
    if (!pause && !reason.trim()) {
      setProblem(PAUSE.noReason);
      return;
    }
    setAsking(true);
    setProblem(null);
    try {
      const body = pause ? { action: "resume" } : { action: "pause", reason: reason.trim() };
      await request("/sync/pause", { method: "PUT", body });
      setReason("");
      onChange();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(notChanged(error.message));
    } finally {
      setAsking(false);
    }
  };

  return (
    <section aria-labelledby="pause" className={styles.section}>
      <h2 id="pause">{PAUSE.title}</h2>
      <form className={styles.form} onSubmit={put} noValidate>
        {pause ? (
          <p className={styles.state}>
            <State tone="warn">{PAUSE.paused}</State>
            {pausedBy(clock(pause.since), safeText(pause.by), safeText(pause.reason, 500))}
          </p>
        ) : (
          <label className={styles.label}>
            {PAUSE.reason}
            <input
              value={reason}
              onChange={(event) => setReason(event.target.value)}
              maxLength={500}
              aria-invalid={problem !== null}
              aria-describedby={wrong}
            />
          </label>
        )}
        <Button type="submit" kind={pause ? "primary" : "danger"} unavailable={isAsking ? PAUSE.isAsking : null}>
          {pause ? PAUSE.resume : PAUSE.pause}
        </Button>
        <p id={wrong} className={styles.wrong} role="alert">
          {problem}
        </p>
      </form>
      <p className={styles.quiet}>{pause ? PAUSE.whilePaused : PAUSE.beforePause}</p>
    </section>
  );
}
