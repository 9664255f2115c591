/** Why a sync could not be asked for, and what to do about it. */
import type { Problem } from "../api/client";
import { clock, length } from "../format/time";
import { SERVER_UNREACHABLE } from "./common";

export interface ProblemWords {
  what: string;
  next: string;
  /** Whether pressing again may help. */
  again: boolean;
}

export function triggerProblem({ code, retryAfter, resetTime, status }: Problem): ProblemWords {
  const later = retryAfter === null ? "Try again in a moment." : `Try again in ${length(retryAfter * 1000)}.`;
  switch (code) {
    case "offline":
      return {
        what: SERVER_UNREACHABLE,
        next: "Your amounts stay as last read. Check your connection and try again.",
        again: true,
      };
    case "rate_limited":
      return {
        what: "All your syncs are used for now.",
        next: resetTime ? `The next one comes back at ${clock(resetTime)}.` : later,
        again: false,
      };
    case "too_many_requests":
      return { what: "That was too often in a short time.", next: later, again: true };
    case "no_wallets":
      return { what: "There is no wallet to read.", next: "Add one under Wallets.", again: false };
    case "disabled":
      return {
        what: "Syncs are switched off for this account.",
        next: "The operator of this service can switch them on.",
        again: false,
      };
  }
  if (status === 401)
    return { what: "Your session has ended.", next: "Open the page anew from where you signed in.", again: false };
  return {
    what: "The sync could not be started.",
    next: `Something is wrong on our side; your amounts stay as last read. ${later}`,
    again: true,
  };
}
