import { useState } from "react";
import { Problem } from "../api/client";
import type { Breaker } from "../api/schema";
import { safeText } from "../format/text";
import { moment } from "../format/time";
import { useNow, useStore } from "../state/hooks";
import { BREAKER_STATES, BREAKERS } from "../strings/admin";
import { Button } from "../ui/Button";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import { State } from "./State";
import { Table } from "./Table";

const TONES = { closed: "good", half_open: "warn", open: "danger" } as const;
const { columns } = BREAKERS;

interface Props {
  breakers: readonly Breaker[];
  onReset: () => void;
}

/** The circuit breakers, and the button that closes one. */
export function Breakers({ breakers, onReset }: Props) {
  const now = useNow(60_000);
  return (
    <Table
      title={BREAKERS.title}
      none={BREAKERS.none}
      columns={[
        { name: columns.key },
        { name: columns.state },
        { name: columns.since },
        { name: columns.probe },
        { name: columns.failures, kind: "number" },
        { name: columns.error, kind: "prose" },
        { name: columns.action },
      ]}
      rows={breakers.map(({ key, state, since, retryAt, cause, failureCount, lastError, lastFailureAt }) => ({
        key,
        cells: [
          safeText(key, 80),
          <State key="state" tone={TONES[state]}>
            {BREAKER_STATES[state]}
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
      <Button unavailable={state === "asking" ? BREAKERS.isResetting : null} onClick={reset}>
        {BREAKERS.reset}
        <VisuallyHidden> {breaker}</VisuallyHidden>
      </Button>
      {state === "failed" && <p role="alert">{BREAKERS.notReset}</p>}
    </>
  );
}
