/** The line of the total over time. */
import { usd } from "../format/numbers";

export const CHART = {
  label: "Value over time",
  range: "Range",
  readings: "Readings",
  now: "now",
  empty: "Nothing was read in this time.",
  failed: "The past can't be read now.",
  first: "The line begins with this first reading.",
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
