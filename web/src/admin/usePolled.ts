import { useCallback, useEffect, useRef, useState } from "react";

/** Reads every so many milliseconds while the page is visible, and at once when it becomes so. */
export function usePolled<T>(ask: (signal: AbortSignal) => Promise<T>, everyMs: number) {
  const [data, setData] = useState<T | null>(null);
  const [failed, setFailed] = useState<Error | null>(null);
  const again = useRef(() => {});

  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let reading = false;
    let asked = false;

    const read = async () => {
      asked = reading;
      if (reading || document.hidden) return;
      reading = true;
      clearTimeout(timer);
      try {
        setData(await ask(stop.signal));
        setFailed(null);
      } catch (error) {
        if (!stop.signal.aborted) setFailed(error as Error);
      }
      reading = false;
      // What was asked for meanwhile is newer than what this has read.
      if (!stop.signal.aborted) timer = setTimeout(read, asked ? 0 : everyMs);
    };

    again.current = read;
    read();
    document.addEventListener("visibilitychange", read);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", read);
    };
  }, [ask, everyMs]);

  const reload = useCallback(() => again.current(), []);
  return { data, failed, reload };
}
