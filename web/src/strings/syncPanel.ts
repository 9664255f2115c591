/** The sync that runs or ran: its button, its marks, and what comes by itself. */
import type { SyncStatus } from "../api/schema";
import { safeText } from "../format/text";
import { clock, length } from "../format/time";

export const PANEL = {
  title: "Sync",
  action: "Sync now",
  running: "Syncing",
  underWay: "A sync is under way.",
  paused: "All syncs are paused.",
  started: "Sync started.",
  reading: "Reading your wallets on each chain",
  waiting: "It begins in a moment",
};
export function pausedSince({ since, reason }: NonNullable<SyncStatus["pause"]>): string {
  return `All syncs are paused since ${clock(since)}: ${safeText(reason, 200)}`;
}
/** Before a countdown. */
export const IN = ", in ";
/** @param ms Until the next unattended sync. */
export function nextAutomatic(ms: number): string {
  return ` · ${ms > 0 ? `automatic sync in ${length(ms)}` : "an automatic sync is due"}`;
}
export function markText(chain: string, state: string): string {
  return `${chain}: ${state}`;
}
export function moreChanges(count: number): string {
  return `${count} more`;
}

export const CANCEL = {
  action: "Cancel this sync",
  busy: "Cancelling",
  isBusy: "It is being cancelled.",
  failed: "It could not be cancelled. Try again.",
};
