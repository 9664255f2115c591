/** All that is known of one position, and how it came to its price. */
import type { Position, PositionEvidence } from "../api/schema";
import { full, price, usd } from "../format/numbers";
import { list } from "../format/text";
import { ago, moment } from "../format/time";
import type { Move } from "../portfolio/table/priceLine";
import { notCountedShort, sourceName } from "./tokenLabels";

export const FACTS = {
  name: "Name",
  noName: "None",
  chain: "Chain",
  amount: "Amount",
  price: "Price",
  noPrice: "No source that we trust has one",
  value: "Value",
  contract: "Contract",
  native: "The chain's own coin",
  wallet: "Wallet",
  notCounted: "Not in the total because",
  note: "Note",
  hidden: "Hidden because",
};
export function inSmallestUnit(balance: string): string {
  return `${balance} of its smallest unit; how many make one is unknown`;
}
export function priceText(priceUsd: string, source: string | null, at: string | null, now: number): string {
  const when = at === null ? "" : `, ${moment(at, now)} (${ago(at, now)})`;
  return `$${full(priceUsd)} by ${sourceName(source)}${when}`;
}
export const PRICE_LINE = { day: "Price over 24 h", week: "Price over 7 days" };
/** "+1.2%, between $2,400.00 and $2,512.10, by CoinGecko, 14:05". */
export function moveText({ low, high, change }: Move, source: string, endsAt: string, now: number): string {
  const range = `between ${price(low)} and ${price(high)}, by ${sourceName(source)}, ${moment(endsAt, now)}`;
  return change === null ? range : `${change}, ${range}`;
}
/** Reasons as one sentence. */
export function together(reasons: readonly string[]): string {
  return `${reasons.join(", and ")}.`;
}

export function evidenceTitle({ isSpam, priceUsd }: Position): string {
  if (isSpam) return "Why is it hidden?";
  return priceUsd === null ? "Why has it no price?" : "Why this price?";
}
export const EVIDENCE = {
  notKept: "How this came about was not kept. The next sync keeps it.",
  failed: "How this came about can't be read now.",
  reading: "Reading who said what",
  verdict: "Verdict",
  lists: "Lists",
  pools: "Its pools hold",
  suspicious: "Suspicious",
  amountBy: "Amount by",
  earlierSync: "an earlier sync",
  workedOut: "Worked out",
  noPrice: "Has no price",
  noPriceSince: "Has none since",
};
export const FROM_USED = "From the price that is used";
/** Whether it is in the total, and the one reason why not. */
export function verdict({ isCounted, isSpam, notCountedReason }: PositionEvidence): string {
  if (isSpam) return "Hidden, and not in the total: it looks like spam";
  return isCounted ? "In the total" : `Not in the total: ${notCountedShort(notCountedReason ?? "")}`;
}
export function notAsked(sources: readonly string[]): string {
  return `Not asked: ${list(sources.map(sourceName))}`;
}
export function askedAt(time: string): string {
  return `Asked ${time}`;
}

/** "CoinGecko, Superchain and Aave name this contract". */
export function listingText(lists: readonly string[]): string {
  if (lists.length === 0) return "No list of tokens that we read names it";
  return `${list(lists.map(sourceName))} ${lists.length === 1 ? "names" : "name"} this contract`;
}

/** What the pools of a token hold. */
export function poolsText(state: string, usdHeld: string | null): string {
  const held = usdHeld === null ? null : usd(usdHeld);
  switch (state) {
    case "deep":
      return held ? `${held} of well-known tokens` : "Enough of well-known tokens";
    case "thin":
      return held ? `Only ${held} of well-known tokens` : "Too little of well-known tokens";
    default:
      return "There are some; what they hold is not known";
  }
}
export function blockText(block: number): string {
  return `block ${block.toLocaleString("en-US")}`;
}
