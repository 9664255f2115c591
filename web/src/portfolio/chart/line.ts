/** From readings to what an SVG draws. Pixels only: what is shown in digits comes from the readings themselves. */
import type { History, HistoryPoint } from "../../api/schema";
import { millis } from "../../format/time";

const DAY_MS = 86_400_000;

export interface Spot {
  x: number;
  y: number;
  point: HistoryPoint;
  /** What happened since the reading before it. */
  events: ChartEvent[];
}

/** What a line is marked with: a wallet that joined, or chains that did not answer from here on. */
export type ChartEvent = { kind: "wallet"; walletAddress: string; at: string } | { kind: "stale"; chainIds: number[] };

export interface Line {
  /** Runs of readings without a gap between them. */
  runs: Spot[][];
  /** Those within the range, in order: what a pointer or key can choose. */
  spots: Spot[];
  /** The day before the range, drawn over it; empty where that was not asked for or nothing was read. */
  dayBefore: Spot[][];
  /** Whether nothing is older than a day: there is no day before to compare with. */
  isFirstDay: boolean;
  low: HistoryPoint | null;
  high: HistoryPoint | null;
  /** Start and end of the range, in ms since the epoch. */
  from: number;
  to: number;
}

/**
 * Fits the last `days` until `now` into width × height. A reading before the range may lie left of it.
 *
 * @param earlier A longer history, of a day that is drawn against the day before it.
 */
export function line(history: History, now: number, width: number, height: number, earlier?: History | null): Line {
  const { before, points, days } = history;
  const to = Math.max(now, ...points.slice(-1).map(({ at }) => millis(at)));
  const from = to - days * 86_400_000;
  const all = before ? [before, ...points] : points;
  const dayBefore = (earlier?.points ?? [])
    .map((point) => ({ ...point, at: new Date(millis(point.at) + DAY_MS).toISOString() }))
    .filter(({ at }) => millis(at) >= from && millis(at) <= to);
  const values = [...points, ...dayBefore].map(({ totalValueUsd }) => Number(totalValueUsd));
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  // A flat line lies in the middle, not on the ground.
  const spread = highest - lowest || Math.abs(highest) * 0.1 || 1;
  const bottom = (highest + lowest - spread) / 2;
  const spotOf = (point: HistoryPoint): Spot => ({
    x: ((millis(point.at) - from) / (to - from)) * width,
    y: height - ((Number(point.totalValueUsd) - bottom) / spread) * height,
    point,
    events: [],
  });
  const spots = all.map(spotOf);
  mark(spots, history.walletsAdded);
  const inRange = spots.filter(({ x }) => x >= 0);
  const read = inRange.map(({ point }) => point).sort((a, b) => Number(a.totalValueUsd) - Number(b.totalValueUsd));
  return {
    runs: unbroken(spots, history.gapSeconds).filter((run) => run.some(({ x }) => x >= 0)),
    spots: inRange,
    dayBefore: earlier ? unbroken(dayBefore.map(spotOf), earlier.gapSeconds) : [],
    isFirstDay: isFirstDay(history) && to - millis(points[0]?.at ?? to) < DAY_MS,
    low: read[0] ?? null,
    high: read.at(-1) ?? null,
    from,
    to,
  };
}

/** Whether all that was ever read is within a range: of one day, it is the first one. */
export function isFirstDay({ before, points }: History): boolean {
  return before === null && points.length > 0;
}

/** Runs without a gap between two readings. */
function unbroken(spots: readonly Spot[], gapSeconds: number): Spot[][] {
  const runs: Spot[][] = [];
  for (const spot of spots) {
    const last = runs.at(-1)?.at(-1);
    if (last && millis(spot.point.at) - millis(last.point.at) <= gapSeconds * 1000) runs.at(-1)?.push(spot);
    else runs.push([spot]);
  }
  return runs;
}

/** Tells each reading what happened since the one before: it is the first that shows what came of it. */
function mark(spots: readonly Spot[], walletsAdded: History["walletsAdded"]): void {
  let stale: readonly number[] = [];
  let after = Number.NEGATIVE_INFINITY;
  for (const spot of spots) {
    const { at, omitted } = spot.point;
    for (const { walletAddress, at: addedAt } of walletsAdded)
      if (millis(addedAt) > after && millis(addedAt) <= millis(at))
        spot.events.push({ kind: "wallet", walletAddress, at: addedAt });
    const now = omitted?.staleChains ?? [];
    const chainIds = now.filter((chainId) => !stale.includes(chainId));
    if (chainIds.length > 0) spot.events.push({ kind: "stale", chainIds });
    [stale, after] = [now, millis(at)];
  }
}

/** The last reading that is a day older, if it is not much older than that. */
export function aDayBefore({ at }: HistoryPoint, { before, points, gapSeconds }: History): HistoryPoint | null {
  const time = millis(at) - DAY_MS;
  const found = points.findLast((point) => millis(point.at) <= time) ?? before;
  return found && millis(found.at) <= time && time - millis(found.at) <= gapSeconds * 1000 ? found : null;
}

/** An SVG path; of a lone reading a dot, drawn by its round ends. */
export function path(run: readonly Spot[]): string {
  const [first, ...rest] = run;
  if (!first) return "";
  const at = ({ x, y }: Spot) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return `M${at(first)}${rest.length === 0 ? "h0" : rest.map((spot) => `L${at(spot)}`).join("")}`;
}

/** The index of the spot next to an x. */
export function nearest(spots: readonly Spot[], x: number): number {
  let best = 0;
  for (const [index, spot] of spots.entries())
    if (Math.abs(spot.x - x) <= Math.abs((spots[best]?.x ?? Number.POSITIVE_INFINITY) - x)) best = index;
  return best;
}
