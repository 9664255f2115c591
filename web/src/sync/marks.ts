/** The progress of a sync as one mark a chain. */
import type { ChainName, OperationDetail } from "../api/schema";
import type { ChainProgress, ChainProgressState } from "../api/types";
import type { Chains } from "../chains";
import { CHAIN_STATES, chainSentence } from "../strings/syncLabels";

export interface Mark {
  chain: ChainName;
  state: ChainProgressState;
  /** What there is to say of it: the state in a word, or why it was not read. */
  words: string;
}

/**
 * One mark a chain, in the order of the chains.
 *
 * @param progress What was heard of chains.
 * @param started Whether the sync has started: a chain that nothing was heard of is being read from then on.
 * @param read The chains that a sync reads; others are shown only where something was heard of them.
 */
export function marks(
  progress: readonly ChainProgress[],
  started: boolean,
  chains: Chains,
  read: readonly ChainName[],
): Mark[] {
  const heard = new Map(progress.map((chain) => [chain.chainId, chain]));
  const ids = [...new Set([...read.map(({ chainId }) => chainId), ...heard.keys()])];
  ids.sort((a, b) => chains.place(a) - chains.place(b));
  return ids.map((chainId) => {
    const chain = { chainId, name: chains.name(chainId) };
    const { state, ...why } = heard.get(chainId) ?? UNHEARD;
    if (state === "failed" || state === "skipped")
      return { chain, state, words: chainSentence(chain.name, { state, ...why }) };
    const shown = state === "waiting" && started ? "reading" : state;
    return { chain, state: shown, words: CHAIN_STATES[shown] };
  });
}

const UNHEARD = { state: "waiting", reason: null, code: null, retryAt: null } as const;

/** The marks of the chains that a sync was asked to read, once it has ended: of several wallets, the worst counts. */
export function endedMarks(report: OperationDetail["chains"], chains: Chains): Mark[] {
  const worst = new Map<number, ChainProgress>();
  for (const { chainId, outcome, reason, code, retryAt } of report) {
    const state = outcome === "ok" || outcome === "kept" ? "done" : outcome;
    if (SEVERITY[state] >= SEVERITY[worst.get(chainId)?.state ?? "waiting"])
      worst.set(chainId, { chainId, state, reason, code, retryAt });
  }
  return marks([...worst.values()], false, chains, []);
}

const SEVERITY: Record<ChainProgressState, number> = { waiting: 0, reading: 0, done: 1, skipped: 2, failed: 3 };
