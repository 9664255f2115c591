/** The last portfolio, kept in the browser for when the server can't be reached. One user's at a time. */
import type { Portfolio } from "../api/schema";
import { lastUser } from "../api/session";

export interface Kept {
  portfolio: Portfolio;
  /** When it was received, in ms since the epoch. */
  receivedAt: number;
}

const KEY = "moonx.portfolio";
const KEPT_AFTER_MS = 1_000;

/** What was kept for this user; another's is removed, not shown. */
export function readKept(userId: string): Kept | null {
  try {
    const kept: Kept | null = JSON.parse(localStorage.getItem(KEY) ?? "null");
    // What an earlier version of the page kept does not say of each position whether it is counted.
    if (kept?.portfolio.userId === userId && kept.portfolio.omitted.unread !== undefined) return kept;
  } catch {
    // What can't be read is as good as nothing.
  }
  forgetKept();
  return null;
}

export function keep(kept: Kept): void {
  try {
    // Somebody else has signed in since, in another tab.
    const user = lastUser();
    if (user !== null && user !== kept.portfolio.userId) return;
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // Too large for this browser, or no storage at all: an old one must not pass for the newest.
    forgetKept();
  }
}

let pending: ReturnType<typeof setTimeout> | undefined;

/** Keeps it once there is time for that: to write thousands of positions must not hold up their being shown. */
export function keepSoon(kept: Kept): void {
  clearTimeout(pending);
  pending = setTimeout(() => keep(kept), KEPT_AFTER_MS);
}

export function forgetKept(): void {
  clearTimeout(pending);
  try {
    localStorage.removeItem(KEY);
  } catch {
    // No storage: nothing is kept either.
  }
}
