/** The line of the total over time. */
import type { Chains } from "../chains";
import { usd } from "../format/numbers";
import { list, shortAddress } from "../format/text";
import { moment } from "../format/time";
import type { ChartEvent } from "../portfolio/chart/line";

export const CHART = {
  label: "Value over time",
  range: "Range",
  readings: "Readings",
  now: "now",
  empty: "Nothing was read in this time.",
  failed: "The past can't be read now.",
  first: "The line begins with this first reading. Each sync adds one; from tomorrow on it compares with a day before.",
  young: "from tomorrow on the line compares with a day before",
  dayBefore: "the day before",
  walletAdded: "a wallet was added",
  chainStale: "a chain did not answer",
};
export const RANGES = [
  { value: 1, label: "1 d" },
  { value: 7, label: "7 d" },
  { value: 30, label: "30 d" },
  { value: 365, label: "1 y" },
];
export function extent(low: string, high: string): string {
  return `Low ${usd(low)} · high ${usd(high)}`;
}
/** @param change "+0.8%". */
export function dayChangeText(change: string): string {
  return `${change} in 24 h`;
}
export function eventText(event: ChartEvent, now: number, chains: Chains): string {
  if (event.kind === "wallet") return `wallet ${shortAddress(event.walletAddress)} added ${moment(event.at, now)}`;
  return `${list(event.chainIds.map((chainId) => chains.name(chainId)))} did not answer from here on`;
}
