/** The list of syncs, and one of them opened. */
import { counted } from "../format/text";
import { clock } from "../format/time";

export const HISTORY = {
  title: "Syncs",
  save: "Save as CSV",
  file: "syncs.csv",
  failed: { what: "The syncs could not be read.", next: "What is shown may be old." },
  waiting: "A sync waits to begin.",
};
export function noneWithin(days: number): string {
  return `No sync in the last ${days} days.`;
}
export function onlyLast(count: number): string {
  return `These are the last ${count}.`;
}
export function beganAt(time: string): string {
  return `Began at ${clock(time)}`;
}

export const OPERATION = {
  failed: { what: "This sync could not be read.", next: "It may be too old to be kept, or the server is away." },
  noneYet: "No chain has answered yet.",
  none: "No chain was asked.",
  dagsterRun: "Its run in Dagster",
};
export function chainRead(chain: string, tokens: number): string {
  return `${chain}: ${counted(tokens, "token")}`;
}
export function chainKept(chain: string): string {
  return `${chain}: nothing had moved, so it was not asked`;
}
