import { useState } from "react";
import { Problem } from "../api/client";
import type { Breaker } from "../api/schema";
import { safeText } from "../format/text";
import { moment } from "../format/time";
import { useNow, useStore } from "../state/hooks";
import { Button } from "../ui/Button";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import { State } from "./State";
import { Table } from "./Table";

const STATES = {
  closed: { tone: "good", word: "closed" },
  half_open: { tone: "warn", word: "half-open" },
  open: { tone: "danger", word: "open" },
} as const;

interface Props {
  breakers: readonly Breaker[];
  onReset: () => void;
}

/** The circuit breakers, and the button that closes one. */
export function Breakers({ breakers, onReset }: Props) {
  const now = useNow(60_000);
  return (
    <Table
      title="Circuit breakers"
      none="None has counted a failure."
      columns={[
        { name: "Key" },
        { name: "State" },
        { name: "Since" },
        { name: "Next probe" },
        { name: "Failures", kind: "number" },
        { name: "Last error", kind: "prose" },
        { name: "Action" },
      ]}
      rows={breakers.map(({ key, state, since, retryAt, cause, failureCount, lastError, lastFailureAt }) => ({
        key,
        cells: [
          safeText(key, 80),
          <State key="state" tone={STATES[state].tone}>
            {STATES[state].word}
          </State>,
          moment(since, now),
          retryAt && state !== "closed" ? moment(retryAt, now) : "",
          failureCount,
          [cause, safeText(lastError, 300), lastFailureAt && moment(lastFailureAt, now)].filter(Boolean).join(" · "),
          state === "closed" ? "" : <Reset key="reset" breaker={key} onReset={onReset} />,
        ],
      }))}
    />
  );
}

function Reset({ breaker, onReset }: { breaker: string; onReset: () => void }) {
  const { request } = useStore();
  const [state, setState] = useState<"offered" | "asking" | "failed">("offered");

  const reset = async () => {
    setState("asking");
    try {
      await request(`/breakers/${encodeURIComponent(breaker)}/reset`, { method: "POST" });
      setState("offered");
      onReset();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setState("failed");
    }
  };

  return (
    <>
      <Button unavailable={state === "asking" ? "It is being closed." : null} onClick={reset}>
        Reset<VisuallyHidden> {breaker}</VisuallyHidden>
      </Button>
      {state === "failed" && <p role="alert">Not reset. Try again.</p>}
    </>
  );
}
