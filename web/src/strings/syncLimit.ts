/** How many syncs a person may still ask for, in words. */
import type { SyncStatus } from "../api/schema";
import { clock } from "../format/time";

export interface LimitWords {
  /** How many are left. */
  left: string;
  /** Why none can be asked for now. */
  reached: string | null;
  /** Milliseconds until one comes back, while none can be asked for. */
  returnsIn: number | null;
}

type Limit = Pick<SyncStatus, "remainingRequests" | "maxRequests" | "resetTime">;

export function limitWords({ remainingRequests, maxRequests, resetTime }: Limit, now: number): LimitWords {
  const returnsIn = resetTime === null ? null : Date.parse(resetTime) - now;
  const back = returnsIn !== null && returnsIn <= 0;
  // One that has come back since the server was asked counts, without asking again.
  const left = Math.min(maxRequests, remainingRequests + (back ? 1 : 0));
  if (left === 0) {
    const when = resetTime === null ? "One comes back soon" : `The next one comes back at ${clock(resetTime)}`;
    return { left: "", reached: `All ${maxRequests} syncs are used. ${when}`, returnsIn };
  }
  return { left: `${left} of ${maxRequests} syncs left`, reached: null, returnsIn: null };
}
