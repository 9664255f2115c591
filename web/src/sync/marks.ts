/** The progress of a sync as one mark a chain. */
import type { ChainProgress, ChainProgressState, OperationDetail } from "../api/types";
import { CHAINS, type ChainInfo } from "../chains";
import { chainSentence } from "./words";

export interface Mark {
  chain: ChainInfo;
  state: ChainProgressState;
  /** What there is to say of it: the state in a word, or why it was not read. */
  words: string;
}

const STATE_WORDS = { waiting: "waiting", reading: "being read", done: "read" } as const;

/**
 * One mark a chain, in the order of the chains.
 *
 * A chain of which nothing was heard waits until the sync has started, and is being read from then on.
 */
export function marks(progress: readonly ChainProgress[], started: boolean): Mark[] {
  const heard = new Map(progress.map((chain) => [chain.chainId, chain]));
  return CHAINS.map((chain) => {
    const { state, reason, retryAt } = heard.get(chain.id) ?? UNHEARD;
    if (state === "failed" || state === "skipped") {
      return { chain, state, words: chainSentence(chain.name, { state, reason, retryAt }) };
    }
    const shown = state === "waiting" && started ? "reading" : state;
    return { chain, state: shown, words: STATE_WORDS[shown] };
  });
}

const UNHEARD = { state: "waiting", reason: null, retryAt: null } as const;

/** The marks of a sync that has ended: of several wallets on a chain, the worst counts. */
export function endedMarks(chains: OperationDetail["chains"]): Mark[] {
  const worst = new Map<number, ChainProgress>();
  for (const { chainId, outcome, reason, retryAt } of chains) {
    const state = outcome === "ok" || outcome === "kept" ? "done" : outcome;
    if (SEVERITY[state] >= SEVERITY[worst.get(chainId)?.state ?? "waiting"]) {
      worst.set(chainId, { chainId, state, reason, retryAt });
    }
  }
  return marks([...worst.values()], false);
}

const SEVERITY: Record<ChainProgressState, number> = { waiting: 0, reading: 0, done: 1, skipped: 2, failed: 3 };
