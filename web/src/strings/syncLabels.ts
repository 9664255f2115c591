/** Syncs in the words of the person whose money it is. */
import type { Operation, OperationStatus, Time } from "../api/types";
import { counted } from "../format/text";
import { clock } from "../format/time";

export const TRIGGER_WORDS: Record<Operation["trigger"], string> = {
  manual: "You asked",
  schedule: "Automatic",
  webhook: "After a transfer",
  login: "On your visit",
  backfill: "By the operator",
};

export const STATUS_WORDS: Record<OperationStatus, string> = {
  pending: "Waiting",
  running: "Running",
  completed: "Done",
  partial: "Partly done",
  failed: "Failed",
  cancelled: "Cancelled",
  refused: "Not started",
};

/** Without the last full stop: they stand among other words. */
export const OPERATION_REASONS: Record<string, string> = {
  no_chain_read: "No chain answered",
  superseded: "A later sync took its place",
  handed_back: "It was stopped before it began, and waits again",
  cancelled: "It was cancelled",
  interrupted: "It was interrupted. The next one begins soon",
  sync_worker_lost: "It was interrupted. The next one begins soon",
  breaker_open: "The syncs before it failed, so it was not tried",
  disabled: "Syncs are switched off for this account",
  no_wallets: "There was no wallet to read",
  database_away: "What was read could not be stored",
};

/** Why a sync was not a whole one; null where there is nothing to say. */
export function operationReason(operation: Operation): string | null {
  const { errorCode, status } = operation;
  if (status === "partial") return `${counted(operation.chainsSynced, "chain")} answered, not all`;
  if (errorCode !== null) return OPERATION_REASONS[errorCode] ?? "Something went wrong on our side";
  return null;
}

/** Causes in the server's sentences, and what they mean to someone who waits for his portfolio. */
const CAUSES: [RegExp, string][] = [
  [/no source of balances/i, "it is not set up here"],
  [/rate limit|too many requests|\b429\b/i, "it was asked too often"],
  [/capacity|quota/i, "what may be asked this month is used up"],
  [/firewall|location|banned|the key/i, "it does not let us ask"],
  // Before what follows from it: after its repeats there is often no time left for another source.
  [/a fault of its own|can't be reached/i, "the service it is read from is down"],
  [/in full within|timed? ?out|gave up waiting/i, "it took too long"],
  [/the sync's time is over/i, "there was no time left"],
];

function cause(reason: string | null): string | null {
  return CAUSES.find(([pattern]) => reason !== null && pattern.test(reason))?.[1] ?? null;
}

/** A chain that did not answer, or was not asked, in one sentence without a full stop. */
export function chainSentence(
  name: string,
  chain: { state: "failed" | "skipped"; reason: string | null; retryAt: Time | null },
): string {
  const why = cause(chain.reason);
  if (chain.state === "failed") return why ? `${name} did not answer: ${why}` : `${name} did not answer`;
  if (chain.retryAt) return `${name} failed before and is asked again at ${clock(chain.retryAt)}`;
  return why ? `${name} was not asked: ${why}` : `${name} was not asked`;
}

/** "Polygon", "Polygon and Base", "Polygon, Base and Optimism". */
export function list(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** How long a sync took. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
