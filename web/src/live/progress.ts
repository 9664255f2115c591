/** How far the running sync is with each chain. Pure: events in, what is shown out. */
import type { ChainProgress, ChainProgressState, ServerEvents } from "../api/types";

type Started = Parameters<ServerEvents["sync_started"]>[0];
type Progress = Parameters<ServerEvents["sync_progress"]>[0];
type Completed = Parameters<ServerEvents["sync_completed"]>[0];

/** These chains, all alike. */
export function allChains(state: ChainProgressState, ids: readonly number[]): ChainProgress[] {
  return ids.map((chainId) => ({ chainId, state, reason: null, code: null, retryAt: null }));
}

export function afterStarted(event: Started): ChainProgress[] {
  return allChains("reading", event.chains);
}

export function afterProgress(progress: readonly ChainProgress[], event: Progress): ChainProgress[] {
  const { chainId, state, reason, code, retryAt } = event;
  const heard = { chainId, state, reason, code: code ?? null, retryAt };
  const isKnown = progress.some((chain) => chain.chainId === chainId);
  return isKnown ? progress.map((chain) => (chain.chainId === chainId ? heard : chain)) : [...progress, heard];
}

/** What was not told of one by one is told by the end: all but the failed ones are done. */
export function afterCompleted(progress: readonly ChainProgress[], event: Completed): ChainProgress[] {
  return progress.map((chain) => {
    const failure = event.failedChains.find(({ chainId }) => chainId === chain.chainId);
    if (failure) {
      const { reason, code = null } = failure;
      return { ...chain, state: chain.state === "skipped" ? "skipped" : "failed", reason, code };
    }
    return chain.state === "skipped" ? chain : { ...chain, state: "done" };
  });
}

/** What was not read when a sync failed was not read; why the sync failed is said once, not a chain. */
export function afterFailed(progress: readonly ChainProgress[]): ChainProgress[] {
  return progress.map((chain) =>
    chain.state === "waiting" || chain.state === "reading" ? { ...chain, state: "failed" } : chain,
  );
}
