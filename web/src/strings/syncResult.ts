/** What a sync changed, in words. */
import type { Chains } from "../chains";
import { absolute, compare, sign } from "../format/decimal";
import { amount, full, usdSigned } from "../format/numbers";
import { counted, list, safeText } from "../format/text";
import { clock } from "../format/time";
import type { Change, Changes } from "../sync/changes";
import type { Result, UnreadChain } from "../sync/run";
import { chainSentence, failureReason } from "./syncLabels";

/** "+ 12.5 USDC on Base", and all of its digits. */
export function changeWords(
  { amount: by, symbol, chainId }: Change,
  chains: Chains,
): { text: string; exact: string | null } {
  const token = safeText(symbol, 20) || "a token without a name";
  const where = `on ${chains.name(chainId)}`;
  if (by === null) return { text: `${token} ${where} changed, by an unknown amount`, exact: null };
  const mark = sign(by) < 0 ? "−" : "+";
  return {
    text: `${mark} ${amount(absolute(by))} ${token} ${where}`,
    exact: `${mark} ${full(absolute(by))} ${safeText(symbol)}`,
  };
}

/** What there is to say beside the single changes. */
export function summaryWords(changes: Changes | null): string {
  if (changes === null) return "Done";
  if (changes.first) {
    const { tokens, chains } = changes.first;
    return tokens === 0
      ? "Read: nothing is held here"
      : `Found ${counted(tokens, "token")} on ${counted(chains, "chain")}`;
  }
  const moved = compare(absolute(changes.total), "0.01") >= 0 ? usdSigned(changes.total) : null;
  if (changes.held.length > 0) return moved ? `${moved} in total` : "";
  const spam = changes.spam > 0 ? `Only spam arrived (${counted(changes.spam, "token")}, hidden)` : null;
  if (moved) return `${spam ?? "No amount changed"}; the total moved by ${moved}`;
  return spam ?? "Nothing changed";
}

/** "Polygon did not answer: it took too long. Its amounts are as of 12:04." */
export function unreadWords(chain: UnreadChain, chains: Chains): string {
  const since = chain.staleSince ? `Its amounts are as of ${clock(chain.staleSince)}` : "Its amounts are not known yet";
  return `${chainSentence(chains.name(chain.chainId), chain)}. ${since}.`;
}

export function failureWords({ code, retryAt }: NonNullable<Result["failure"]>): { what: string; next: string } {
  const what = `${failureReason(code) ?? "The sync failed, for a fault on our side"}.`;
  const next = retryAt
    ? `Your amounts stay as last read. It is tried again at ${clock(retryAt)}.`
    : "Your amounts stay as last read. The next automatic sync tries again.";
  return { what, next };
}

/** All of a result in a sentence, for who can't see it. */
export function spoken({ changes, unread, failure }: Result, chains: Chains): string {
  if (failure) return failureWords(failure).what;
  const held = changes?.held ?? [];
  const parts = held.slice(0, 3).map((change) => changeWords(change, chains).text);
  if (held.length > 3) parts.push(counted(held.length - 3, "more change"));
  const summary = summaryWords(changes);
  if (summary) parts.push(summary);
  if (unread.length > 0) parts.push(`${list(unread.map(({ chainId }) => chains.name(chainId)))} did not answer`);
  return `Sync done. ${parts.join(". ")}.`;
}
