import { useCallback, useEffect, useRef, useState } from "react";
import { Problem } from "../api/client";
import { useStore } from "../state/hooks";
import { followRuns, type Run } from "./run";

/** The sync that runs or ran last, and how to ask for one. */
export function useSyncRun() {
  const store = useStore();
  const [run, setRun] = useState<Run>({ isUnderWay: false, result: null });
  const [problem, setProblem] = useState<Problem | null>(null);
  const [isAsking, setAsking] = useState(false);
  const asks = useRef(false);

  useEffect(() => followRuns(store, setRun), [store]);

  const start = useCallback(async () => {
    // A double click is one request.
    if (asks.current) return;
    asks.current = true;
    setAsking(true);
    setProblem(null);
    try {
      await store.trigger();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    } finally {
      asks.current = false;
      setAsking(false);
    }
  }, [store]);

  return { ...run, isUnderWay: isAsking || run.isUnderWay, problem, start };
}
