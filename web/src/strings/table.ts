/** The table of tokens: its groups, columns, rows and what narrows it. */
import { usd } from "../format/numbers";
import { capital, counted } from "../format/text";
import type { Column, Group } from "../portfolio/table/rows";
import { notCountedShort } from "./tokenLabels";

export const TABLE = "Tokens";
export const GROUPS: Record<Group, string> = {
  counted: "In the total",
  lowLiquidity: "Hard to sell",
  unsure: "Without a sure price",
  unread: "Could not be read",
  hidden: "Hidden",
};
export const COLUMN_NAMES: Record<Column, string> = {
  token: "Token",
  chain: "Chain",
  amount: "Amount",
  price: "Price",
  value: "Value",
  share: "Share",
  change: "24 h",
};
/** @param valueUsd Of the group, where its positions are in the total. */
export function groupNote(group: Group, count: number, valueUsd: string | null): string {
  const number = count.toLocaleString("en-US");
  if (group === "counted") return `${number} · ${usd(valueUsd)}`;
  if (group === "unread") return `${number} · how much of them you hold is not known`;
  return group === "hidden" ? `${number} · they look like spam` : `${number} · not in the total`;
}
export const EMPTY_GROUP = {
  noMatch: "None of these match.",
  reading: "Reading the list",
  failed: "The list can't be read now.",
};
export function shownOf(matching: number, all: number): string {
  return matching === all ? counted(all, "token") : `${matching.toLocaleString("en-US")} of ${counted(all, "token")}`;
}

export const TOOLBAR = {
  searchLabel: "Search tokens by name, symbol or contract",
  search: "Search tokens",
  chain: "Chain",
  allChains: "All chains",
  wallet: "Wallet",
  allWallets: "All wallets",
  counted: "In the total or not",
  allCounted: "Counted or not",
  onlyCounted: "Only in the total",
  sortBy: "Sort by",
  hideSmall: "Hide below $1",
};
export function notCountedOption(count: number): string {
  return `Not counted (${count.toLocaleString("en-US")})`;
}
export const WHY_NOT = "Not counted, because";
export function becauseOption(reason: string, count: number): string {
  return `${capital(notCountedShort(reason))} (${count.toLocaleString("en-US")})`;
}
export function sortedBy(column: Column): string {
  return `By ${COLUMN_NAMES[column].toLowerCase()}`;
}

export const EXPORT = {
  action: "Export CSV",
  busy: "The file is on its way.",
  failed: "Not saved. Try again.",
};

export const ROW = {
  noName: "No name",
  noPrice: "no price",
  unknown: "unknown",
  unknownDecimals: "How many decimals it has is unknown",
  notCounted: "not counted",
  oldPrice: "old",
  sourcesDiffer: "sources differ",
};
export function asOf(time: string): string {
  return `as of ${time}`;
}
export const NEVER_READ = "never";
