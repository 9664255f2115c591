import { useState } from "react";
import { Problem } from "../api/client";
import { useStore } from "../state/hooks";
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
      <Button kind="danger" unavailable={state === "asking" ? "It is being cancelled." : null} onClick={cancel}>
        {state === "asking" ? "Cancelling" : "Cancel this sync"}
      </Button>
      {state === "failed" && <span role="alert">It could not be cancelled. Try again.</span>}
    </>
  );
}
