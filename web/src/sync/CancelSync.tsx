import { useState } from "react";
import { Problem } from "../api/client";
import { useStore } from "../state/hooks";
import { CANCEL } from "../strings/syncPanel";
import { Button } from "../ui/Button";

interface Props {
  /** Of the sync that runs, or of the request that waits. */
  id: string;
  onEnd: () => void;
}

/** Ends a sync before its time: nothing of it is stored. */
export function CancelSync({ id, onEnd }: Props) {
  const { request, refreshStatus } = useStore();
  const [state, setState] = useState<"offered" | "asking" | "failed">("offered");

  const cancel = async () => {
    setState("asking");
    try {
      await request(`/sync/operations/${encodeURIComponent(id)}`, { method: "DELETE" });
    } catch (error) {
      // One that has ended in the meantime has nothing left to cancel.
      if (!(error instanceof Problem) || (error.status !== 409 && error.status !== 404)) {
        setState("failed");
        return;
      }
    }
    setState("offered");
    await refreshStatus();
    onEnd();
  };

  return (
    <>
      <Button kind="danger" unavailable={state === "asking" ? CANCEL.isBusy : null} onClick={cancel}>
        {state === "asking" ? CANCEL.busy : CANCEL.action}
      </Button>
      {state === "failed" && <span role="alert">{CANCEL.failed}</span>}
    </>
  );
}
