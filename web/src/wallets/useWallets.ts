import { useCallback, useEffect, useState } from "react";
import { Problem } from "../api/client";
import type { Wallets } from "../api/schema";
import { useStore } from "../state/hooks";

const TRIES = 5;

/** The wallets of the portfolio: null until they are known. */
export function useWallets() {
  const { request, tagged, refresh } = useStore();
  const [wallets, setWallets] = useState<Wallets | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);

  const read = useCallback(async () => {
    try {
      setWallets(await request<Wallets>("/wallets"));
      setProblem(null);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    }
  }, [request]);
  useEffect(() => void read(), [read]);

  /** The list is replaced as a whole: where another page changes it meanwhile, the same is done to what is there then. */
  const replace = useCallback(
    async (edit: (wallets: readonly string[]) => string[], tries = TRIES): Promise<Wallets> => {
      const { data, tag } = await tagged<Wallets>("/wallets");
      const body = { wallets: edit(data.wallets) };
      try {
        return await request<Wallets>("/wallets", { method: "PUT", body, headers: tag ? { "If-Match": tag } : {} });
      } catch (error) {
        if (!(error instanceof Problem && error.status === 412) || tries === 1) throw error;
        return replace(edit, tries - 1);
      }
    },
    [request, tagged],
  );
  const change = useCallback(
    async (edit: (wallets: readonly string[]) => string[]) => {
      const changed = await replace(edit);
      // What goes is gone at once, and what is new is being read: that is known before the list is shown.
      await refresh();
      setWallets(changed);
    },
    [replace, refresh],
  );
  const add = useCallback((address: string) => change((list) => [...list, address]), [change]);
  const remove = useCallback((address: string) => change((list) => list.filter((one) => one !== address)), [change]);

  return { wallets, problem, read, add, remove };
}
