import { type FormEvent, useId, useState } from "react";
import { Problem } from "../api/client";
import type { SyncQueue } from "../api/schema";
import { safeText } from "../format/text";
import { clock } from "../format/time";
import { useStore } from "../state/hooks";
import { Button } from "../ui/Button";
import styles from "./PauseControl.module.css";
import { State } from "./State";

interface Props {
  pause: SyncQueue["pause"];
  onChange: () => void;
}

/** Holds all syncs, with a reason for whoever finds them held, and lets them go on. */
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
      setProblem("Say why, for whoever finds syncs paused.");
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
      setProblem(`${error.message} Nothing was changed: try again.`);
    } finally {
      setAsking(false);
    }
  };

  return (
    <section aria-labelledby="pause" className={styles.section}>
      <h2 id="pause">Pause</h2>
      <form className={styles.form} onSubmit={put} noValidate>
        {pause ? (
          <p className={styles.state}>
            <State tone="warn">Paused</State> since {clock(pause.since)} by {safeText(pause.by)}:{" "}
            {safeText(pause.reason, 500)}
          </p>
        ) : (
          <label className={styles.label}>
            Reason
            <input
              value={reason}
              onChange={(event) => setReason(event.target.value)}
              maxLength={500}
              aria-invalid={problem !== null}
              aria-describedby={wrong}
            />
          </label>
        )}
        <Button type="submit" kind={pause ? "primary" : "danger"} unavailable={isAsking ? "It is under way." : null}>
          {pause ? "Resume all syncs" : "Pause all syncs"}
        </Button>
        <p id={wrong} className={styles.wrong} role="alert">
          {problem}
        </p>
      </form>
      <p className={styles.quiet}>
        {pause
          ? "Requests wait, and nobody is swept. Syncs that ran were let finish."
          : "No sync starts while paused: those that run go on, requests wait."}
      </p>
    </section>
  );
}
