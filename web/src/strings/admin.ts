/** The view for operators. */
import type { Breaker } from "../api/schema";
import { length } from "../format/time";

export const ADMIN = {
  title: "Operations",
  refused: "This view is for operators. Your account is not one of them.",
  old: "What is shown is the last that was read. It is read again by itself.",
  noReadiness: "The server did not say how its parts are.",
};

export const PARTS = {
  title: "Parts",
  none: "None is looked at.",
  ready: "Ready",
  notReady: "Not ready",
  up: "up",
  down: "down",
  notNeeded: "down, not needed",
  columns: { part: "Part", state: "State", latency: "Latency", wrong: "What is wrong" },
};

export const QUEUE = {
  title: "Queue",
  dagster: "Dagster’s pages",
  due: "Users due",
  requests: "Requests waiting",
  events: "Events unpublished",
};
export function ofAll(count: number): string {
  return `of ${count.toLocaleString("en-US")}`;
}
export function forUpTo(seconds: number): string {
  return `for up to ${length(seconds * 1000)}`;
}
export function milliseconds(ms: number): string {
  return `${ms.toLocaleString("en-US")} ms`;
}

export const RUNNING = {
  title: "Running syncs",
  none: "None runs.",
  columns: { user: "User", trigger: "Trigger", lasts: "For", worker: "Worker", run: "Run" },
};
export const WORKERS = {
  title: "Workers",
  none: "None is registered: requests wait.",
  alive: "alive",
  lost: "lost",
  columns: {
    worker: "Worker",
    state: "State",
    host: "Host",
    process: "Process",
    since: "Since",
    recovered: "Recovered in",
  },
};
export const BLOCKS = {
  title: "Rate limit blocks",
  none: "None.",
  columns: { key: "Key", since: "Since", until: "Until", reason: "Reason" },
};

export const BREAKERS = {
  title: "Circuit breakers",
  none: "None has counted a failure.",
  columns: {
    key: "Key",
    state: "State",
    since: "Since",
    probe: "Next probe",
    failures: "Failures",
    error: "Last error",
    action: "Action",
  },
  reset: "Reset",
  isResetting: "It is being closed.",
  notReset: "Not reset. Try again.",
};
export const BREAKER_STATES: Record<Breaker["state"], string> = {
  closed: "closed",
  half_open: "half-open",
  open: "open",
};

export const PAUSE = {
  title: "Pause",
  paused: "Paused",
  reason: "Reason",
  noReason: "Say why, for the operators who find syncs paused.",
  isAsking: "It is under way.",
  pause: "Pause all syncs",
  resume: "Resume all syncs",
  whilePaused: "Requests wait, and no user is synced automatically. Syncs that ran were let finish.",
  beforePause: "No sync starts while paused: those that run go on, requests wait.",
};
export function pausedBy(since: string, by: string, reason: string): string {
  return ` since ${since} by ${by}: ${reason}`;
}
export function notChanged(message: string): string {
  return `${message} Nothing was changed: try again.`;
}

export const DAYS = {
  title: "Days (UTC)",
  none: "No sync has ended yet.",
  columns: {
    day: "Day",
    syncs: "Syncs",
    completed: "Completed",
    partial: "Partial",
    failed: "Failed",
    users: "Users",
    average: "Average",
    calls: "Calls",
    units: "Compute units",
  },
};
