import { useCallback, useEffect, useState } from "react";
import { Problem } from "../api/client";
import type { Wallets } from "../api/types";
import { useStore } from "../state/hooks";

/** The wallets of the portfolio: null until they are known. */
export function useWallets() {
  const { request, refresh } = useStore();
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

  /** The list is replaced as a whole, so it is read first: another page may have changed it. */
  const change = useCallback(
    async (edit: (wallets: readonly string[]) => string[]) => {
      const current = await request<Wallets>("/wallets");
      const body = { wallets: edit(current.wallets) };
      const changed = await request<Wallets>("/wallets", { method: "PUT", body });
      // What goes is gone at once, and what is new is being read: that is known before the list is shown.
      await refresh();
      setWallets(changed);
    },
    [request, refresh],
  );
  const add = useCallback((address: string) => change((list) => [...list, address]), [change]);
  const remove = useCallback((address: string) => change((list) => list.filter((one) => one !== address)), [change]);

  return { wallets, problem, read, add, remove };
}
