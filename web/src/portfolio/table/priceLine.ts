/** What a token was worth over a time, as a small line and in words. Pure. */
import type { Position, PriceLine } from "../../api/schema";
import { compare, percentOf, subtract } from "../../format/decimal";
import { percent } from "../../format/numbers";

type Prices = readonly (string | null)[];

/** The line of a position's token, where there is one. */
export function lineOf(lines: readonly PriceLine[], { chainId, tokenAddress }: Position): PriceLine | null {
  return lines.find((line) => line.chainId === chainId && line.tokenAddress === tokenAddress) ?? null;
}

/** The last of seven days. */
export function lastDay(week: Prices): Prices {
  return week.slice(-Math.round(week.length / 7) - 1);
}

export interface Move {
  low: string;
  high: string;
  /** From the first to the last price that is known, signed; null where the first is 0. */
  change: string | null;
}

/** In words what a line shows; null of fewer than two prices. */
export function move(prices: Prices): Move | null {
  const known = prices.filter((price) => price !== null);
  const [first, last] = [known[0], known.at(-1)];
  if (known.length < 2 || first === undefined || last === undefined) return null;
  const sorted = [...known].sort(compare);
  const part = percentOf(subtract(last, first), first, 4);
  return { low: sorted[0] ?? first, high: sorted.at(-1) ?? last, change: part === null ? null : percent(part, true) };
}

/** The line as SVG's paths, one for each stretch without a gap. */
export function paths(prices: Prices, width: number, height: number): string[] {
  const values = prices.map((price) => (price === null ? null : Number(price)));
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const step = width / Math.max(1, prices.length - 1);
  // A flat line lies in the middle.
  const y = (value: number) => (high === low ? height / 2 : ((high - value) / (high - low)) * height);
  const found: string[] = [];
  let isOpen = false;
  values.forEach((value, index) => {
    if (value !== null) {
      const point = `${(index * step).toFixed(1)} ${y(value).toFixed(1)}`;
      if (isOpen) found[found.length - 1] += `L${point}`;
      else found.push(`M${point}`);
    }
    isOpen = value !== null;
  });
  return found;
}
