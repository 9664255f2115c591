/** The total, what it leaves out, and what it is made up of. */
import { counted } from "../format/text";
import { moment } from "../format/time";

export const WORTH = "Worth ";
export const DIRECTIONS = { up: "up ", down: "down " };
export const BY_PRICES = "24 h, by prices";
export function changeSpan(change: { isDay: boolean; since: string }, now: number): string {
  return change.isDay ? "24 h" : `since ${moment(change.since, now)}`;
}

export const NOTHING_HELD = "These wallets hold nothing yet";
/** @param chains "Ethereum and Base"; empty where no chain was read yet. */
export function nothingHeld(chains: string): string {
  return `Whatever arrives${chains && ` on ${chains}`} shows up here by itself.`;
}
export const ONLY_SPAM = {
  title: "All that these wallets hold looks like spam",
  text: "It is hidden, and counts for nothing. Open the list below to see what it is and why.",
};

export const NOT_IN_TOTAL = "Not in the number above";
export const NOT_COUNTED_SUFFIX = ", not counted";

export const READ = { title: "When each chain was read", never: "never read" };

export const UNREAD = { title: "Not in the number above, and not in the list below" };
export function unreadLabel(count: number): string {
  return `${counted(count, "token")} could not be read`;
}
export function unreadNote(count: number): string {
  const [it, has] = count === 1 ? ["it", "its contract"] : ["them", "their contracts"];
  return `How much of ${it} you hold is not known: ${has} did not say, and never did before. The next sync asks again.`;
}

export function unpricedLabel(count: number): string {
  return `${counted(count, "token")} ${count === 1 ? "has" : "have"} no price`;
}
export function unpricedNote(count: number): string {
  return `No source that we trust has a price for ${count === 1 ? "it" : "them"}.`;
}

export const LOW_LIQUIDITY = { title: "Shown below with their last price, and not in the number above" };
export function lowLiquidityLabel(count: number): string {
  return `${counted(count, "token")} hard to sell`;
}
export function flaggedLabel(count: number): string {
  return `${counted(count, "price")} not trusted`;
}

export const SPAM = {
  title: "Hidden, and not in the number above",
  failed: "The list can't be read now.",
  reading: "Reading the list",
};
export function spamLabel(count: number): string {
  return `${count.toLocaleString("en-US")} hidden as spam`;
}

export function tokenOnChain(token: string, chain: string): string {
  return `${token} on ${chain}`;
}
export function moreBelow(count: number): string {
  return `and ${count} more, in the list below`;
}

export const SPLIT = {
  label: "How it is made up",
  title: "Made up of",
  ways: "Split",
  token: "By token",
  chain: "By chain",
  others: "Others",
};
export function otherParts(count: number): string {
  return counted(count, "other");
}
