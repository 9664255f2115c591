/** What changed over a day. */
import type { History, HistoryPoint } from "../../api/schema";
import { absolute, percentOf, subtract } from "../../format/decimal";
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

function lastBefore({ before, points }: History, time: number): HistoryPoint | null {
  return points.findLast(({ at }) => millis(at) <= time) ?? (before && millis(before.at) <= time ? before : null);
}
