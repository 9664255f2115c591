/** Syncs in the words of the user whose money it is. */
import type { Operation } from "../api/schema";
import type { ChainProgress, OperationStatus, ReasonCode } from "../api/types";
import { capital, counted, safeText } from "../format/text";
import { clock } from "../format/time";

export const TRIGGERS: Record<Operation["trigger"], string> = {
  manual: "You asked",
  schedule: "Automatic",
  webhook: "After a transfer",
  login: "On your visit",
  wallets: "After your wallets changed",
  backfill: "By the operator",
};

export const STATUSES: Record<OperationStatus, string> = {
  pending: "Waiting",
  running: "Running",
  completed: "Done",
  partial: "Partly done",
  failed: "Failed",
  cancelled: "Cancelled",
  refused: "Not started",
};

/** A chain in a running sync, as long as it has not failed. */
export const CHAIN_STATES = { waiting: "waiting", reading: "being read", done: "read" } as const;

/** Without the last full stop: they stand among other words. */
const OPERATION_REASONS: Record<string, string> = {
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

/** Why a sync came to nothing; undefined of a code that this page does not know. */
export function failureReason(code: string): string | undefined {
  return OPERATION_REASONS[code];
}

/** Why a sync was not a whole one; null where there is nothing to say. */
export function operationReason({ errorCode, status, chainsSynced }: Operation): string | null {
  if (status === "partial") return `${counted(chainsSynced, "chain")} answered, not all`;
  if (errorCode !== null) return failureReason(errorCode) ?? "Something went wrong on our side";
  return null;
}

/** What a code means to someone who waits for their portfolio. `other` means nothing: the server's sentence does. */
const CAUSES: Record<Exclude<ReasonCode, "other">, string> = {
  unavailable: "the service it is read from is down",
  timeout: "it took too long",
  deadline_over: "there was no time left",
  malformed: "its answer could not be understood",
  oversized: "its answer was too large",
  parts_refused: "a part of its answer was missing",
  rate_limited: "it was asked too often",
  banned: "it does not let us ask",
  quota_exhausted: "what may be asked this month is used up",
  key_rejected: "it does not let us ask",
  restricted: "it does not let us ask",
  bad_request: "it did not take our question",
  batch_too_large: "it was asked for too much at once",
  breaker_open: "it failed before",
  no_source: "it is not set up here",
  unread_tokens: "some amounts could not be read",
};

export interface Reason {
  /** The server's sentence. */
  reason: string | null;
  code: ReasonCode | null;
}

/** Why a chain was not read, without a full stop: by its code, or else as the server says it; null of neither. */
export function cause({ reason, code }: Reason): string | null {
  // A newer server may send a code that is not in the table.
  const known: string | undefined = code === null || code === "other" ? undefined : CAUSES[code];
  return known ?? (safeText(reason, 200).replace(/\.$/, "") || null);
}

/** A chain that did not answer, or was not asked, in one sentence without a full stop. */
export function chainSentence(
  name: string,
  chain: Reason & { state: "failed" | "skipped"; retryAt: ChainProgress["retryAt"] },
): string {
  if (chain.state === "skipped" && chain.retryAt)
    return `${name} failed before and is asked again at ${clock(chain.retryAt)}`;
  const what = chain.state === "failed" ? `${name} did not answer` : `${name} was not asked`;
  const why = cause(chain);
  return why ? `${what}: ${why}` : what;
}

/** Why a chain is not fresh, or what its source can't know, as a sentence. */
export function chainNote(reason: Reason): string {
  const why = cause(reason);
  return why ? `${capital(why)}.` : "It did not answer since.";
}
