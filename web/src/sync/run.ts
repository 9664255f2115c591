/** A sync from its beginning to what it changed. Knows nothing of React. */
import type { Portfolio } from "../api/schema";
import type { ReasonCode, Time } from "../api/types";
import type { Outcome, State, Store } from "../state/store";
import { type Changes, changesBetween } from "./changes";

export interface Run {
  isUnderWay: boolean;
  /** Of the last one that was seen to end. */
  result: Result | null;
}

export interface Result {
  /** In ms since the epoch. */
  endedAt: number;
  /** Null where there was no portfolio before it to compare with. */
  changes: Changes | null;
  unread: UnreadChain[];
  /** Why it came to nothing, if so. */
  failure: { code: string; retryAt: Time | null } | null;
}

export interface UnreadChain {
  chainId: number;
  state: "failed" | "skipped";
  reason: string | null;
  code: ReasonCode | null;
  retryAt: Time | null;
  /** Since when its amounts stand; null of a chain that was never read. */
  staleSince: Time | null;
}

/** How often it is asked after a sync whose end may not be told: over a connection that lives, and without one. */
const ASK_EVERY_MS = { live: 10_000, lost: 2_000 };

export type Known = Pick<State, "portfolio" | "isKept" | "status" | "connection" | "progress" | "lastOutcome">;
type Followed = Pick<Store, "subscribe" | "refresh" | "refreshStatus"> & { read: () => Known };

/**
 * Follows the syncs that the store tells of; answers how to stop.
 *
 * Every step of the store is looked at, not every rendering: a sync may begin and end between two of those.
 */
export function followRuns(store: Followed, tell: (run: Run) => void): () => void {
  let phase: "idle" | "running" | "ending" | "stopped" = "idle";
  let before: Portfolio | null = null;
  let told: Outcome | null = store.read().lastOutcome;
  /** Whether the last end was found by asking: its outcome may still be told, and is compared with the same. */
  let mayBeTold = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const look = () => {
    const state = store.read();
    if (phase === "ending" || phase === "stopped") return;
    const isRunning = isUnderWay(state);
    // The portfolio may come later than the news that it is being read; one kept in the browser is too old to tell.
    const isAnew = phase === "idle" && (isRunning || !mayBeTold);
    if (!state.isKept) before = isAnew ? state.portfolio : (before ?? state.portfolio);
    if (isRunning && phase === "idle") {
      phase = "running";
      tell({ isUnderWay: true, result: null });
      askLater();
    } else if (!isRunning && (phase === "running" || state.lastOutcome !== told)) void end();
  };

  const askLater = () => {
    const every = store.read().connection === "live" ? ASK_EVERY_MS.live : ASK_EVERY_MS.lost;
    timer = setTimeout(() => store.refreshStatus().then(() => phase === "running" && askLater()), every);
  };

  const end = async () => {
    phase = "ending";
    clearTimeout(timer);
    // What was stored is read before it is called done, so that the page and the words say the same.
    await store.refresh();
    const state = store.read();
    if ((phase as string) === "stopped") return;
    told = state.lastOutcome;
    mayBeTold = told === null;
    phase = isUnderWay(state) ? "running" : "idle";
    if (phase === "running") askLater();
    else tell({ isUnderWay: false, result: resultOf(before, state) });
    look();
  };

  look();
  const unsubscribe = store.subscribe(look);
  return () => {
    phase = "stopped";
    clearTimeout(timer);
    unsubscribe();
  };
}

function isUnderWay({ status, progress, lastOutcome }: Known): boolean {
  const isAsked = Boolean(status?.runningOperation || status?.pendingRequestId);
  return lastOutcome === null ? isAsked || progress.length > 0 : isReplaced(lastOutcome) && isAsked;
}

/** Ended for a later one, which goes on. */
function isReplaced(outcome: Outcome): boolean {
  return outcome.type === "failed" && outcome.error.code === "superseded";
}

function resultOf(before: Portfolio | null, { lastOutcome, portfolio, progress }: Known): Result {
  const skipped = new Map(progress.filter(({ state }) => state === "skipped").map((chain) => [chain.chainId, chain]));
  const unread = lastOutcome?.type === "completed" ? lastOutcome.failedChains : staleChains(portfolio);
  const failed = lastOutcome?.type === "failed" && !isReplaced(lastOutcome) ? lastOutcome.error : null;
  return {
    endedAt: Date.now(),
    changes: before && portfolio && !failed ? changesBetween(before, portfolio) : null,
    unread: failed
      ? []
      : unread.map((chain) => ({
          ...chain,
          code: chain.code ?? null,
          state: skipped.has(chain.chainId) ? "skipped" : "failed",
          retryAt: skipped.get(chain.chainId)?.retryAt ?? null,
        })),
    failure: failed && { code: failed.code, retryAt: failed.retryAt },
  };
}

/** Where the end was not told, the portfolio says which chains were not read. */
function staleChains(portfolio: Portfolio | null) {
  const chains = portfolio?.chains.filter(({ status }) => status !== "fresh") ?? [];
  return chains.map(({ chainId, error, errorCode, syncedAt }) => ({
    chainId,
    reason: error,
    code: errorCode,
    staleSince: syncedAt,
  }));
}
