/** What changed over a day. */
import type { History, HistoryPoint, Position } from "../../api/schema";
import { absolute, add, percentOf, sign, subtract, sum } from "../../format/decimal";
import { millis } from "../../format/time";

const DAY_MS = 86_400_000;

export interface Change {
  usd: string;
  /** Null where there was nothing a day ago. */
  percent: string | null;
  /** When the reading that it is measured against was made. */
  since: string;
  /** Whether that reading is of about a day ago, and not of long before. */
  isDay: boolean;
}

/** Against the last reading that is at least a day old; null where there is none. */
export function dayChange(total: string, history: History, now: number): Change | null {
  const then = lastBefore(history, now - DAY_MS);
  if (!then) return null;
  const usd = subtract(total, then.totalValueUsd);
  return {
    usd,
    percent: percentOf(usd, absolute(then.totalValueUsd), 6),
    since: then.at,
    isDay: now - millis(then.at) <= DAY_MS + history.gapSeconds * 1000,
  };
}

/** What prices alone did to what is held now: all there is to say before there is a reading of a day ago. */
export interface PriceChange {
  usd: string;
  /** Of what these positions were worth by the prices of a day ago. */
  percent: string | null;
}

/** Of the counted positions whose price a source compares with the day before; null where none is. */
export function priceChange(positions: readonly Position[]): PriceChange | null {
  const now: string[] = [];
  const then: string[] = [];
  for (const { isCounted, valueUsd, change24h } of positions) {
    if (!isCounted || valueUsd === null || change24h === null) continue;
    const before = worthBefore(valueUsd, change24h);
    if (before === null) continue;
    now.push(valueUsd);
    then.push(before);
  }
  const base = sum(then);
  if (sign(base) === 0) return null;
  const usd = subtract(sum(now), base);
  return { usd, percent: percentOf(usd, base, 6) };
}

/** Null of a price that fell by all of it, or by more. */
function worthBefore(value: string, change: string): string | null {
  const factor = add("100", change);
  return sign(factor) > 0 ? percentOf(value, factor, 6) : null;
}

function lastBefore({ before, points }: History, time: number): HistoryPoint | null {
  return points.findLast(({ at }) => millis(at) <= time) ?? (before && millis(before.at) <= time ? before : null);
}
