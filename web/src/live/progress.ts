/** How far the running sync is with each chain. Pure: events in, what is shown out. */
import type { ChainProgress, ChainProgressState, ServerEvents } from "../api/types";
import { CHAINS } from "../chains";

type Started = Parameters<ServerEvents["sync_started"]>[0];
type Progress = Parameters<ServerEvents["sync_progress"]>[0];
type Completed = Parameters<ServerEvents["sync_completed"]>[0];

/** All chains alike, in the order in which they are shown; none where no sync runs. */
export function allChains(state: ChainProgressState, ids: readonly number[] = CHAINS.map(({ id }) => id)) {
  return ids.map((chainId): ChainProgress => ({ chainId, state, reason: null, retryAt: null }));
}

export function afterStarted(event: Started): ChainProgress[] {
  const known = CHAINS.filter(({ id }) => event.chains.includes(id)).map(({ id }) => id);
  return allChains("reading", [...known, ...event.chains.filter((id) => !known.includes(id))]);
}

export function afterProgress(progress: readonly ChainProgress[], event: Progress): ChainProgress[] {
  const { chainId, state, reason, retryAt } = event;
  const before = progress.length > 0 ? progress : allChains("reading");
  return before.map((chain) => (chain.chainId === chainId ? { chainId, state, reason, retryAt } : chain));
}

/** What was not told of one by one is told by the end: all but the failed ones are done. */
export function afterCompleted(progress: readonly ChainProgress[], event: Completed): ChainProgress[] {
  return progress.map((chain) => {
    const failure = event.failedChains.find(({ chainId }) => chainId === chain.chainId);
    if (failure) return { ...chain, state: chain.state === "skipped" ? "skipped" : "failed", reason: failure.reason };
    return chain.state === "skipped" ? chain : { ...chain, state: "done" };
  });
}

export function afterFailed(progress: readonly ChainProgress[], message: string): ChainProgress[] {
  return progress.map((chain) =>
    chain.state === "waiting" || chain.state === "reading" ? { ...chain, state: "failed", reason: message } : chain,
  );
}
