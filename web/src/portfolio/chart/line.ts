/** From readings to what an SVG draws. Pixels only: what is shown in digits comes from the readings themselves. */
import type { History, HistoryPoint } from "../../api/schema";
import { millis } from "../../format/time";

export interface Spot {
  x: number;
  y: number;
  point: HistoryPoint;
}

export interface Line {
  /** Runs of readings without a gap between them. */
  runs: Spot[][];
  /** Those within the range, in order: what a pointer or key can choose. */
  spots: Spot[];
  low: HistoryPoint | null;
  high: HistoryPoint | null;
  /** Start and end of the range, in ms since the epoch. */
  from: number;
  to: number;
}

/** Fits the last `days` until `now` into width × height. A reading before the range may lie left of it. */
export function line(history: History, now: number, width: number, height: number): Line {
  const { before, points, days, gapSeconds } = history;
  const to = Math.max(now, ...points.slice(-1).map(({ at }) => millis(at)));
  const from = to - days * 86_400_000;
  const all = before ? [before, ...points] : points;
  const values = points.map(({ totalValueUsd }) => Number(totalValueUsd));
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  // A flat line lies in the middle, not on the ground.
  const spread = highest - lowest || Math.abs(highest) * 0.1 || 1;
  const bottom = (highest + lowest - spread) / 2;
  const spots = all.map(
    (point): Spot => ({
      x: ((millis(point.at) - from) / (to - from)) * width,
      y: height - ((Number(point.totalValueUsd) - bottom) / spread) * height,
      point,
    }),
  );
  const runs: Spot[][] = [];
  for (const spot of spots) {
    const last = runs.at(-1)?.at(-1);
    if (last && millis(spot.point.at) - millis(last.point.at) <= gapSeconds * 1000) runs.at(-1)?.push(spot);
    else runs.push([spot]);
  }
  const inRange = spots.filter(({ x }) => x >= 0);
  return {
    runs: runs.filter((run) => run.some(({ x }) => x >= 0)),
    spots: inRange,
    low: inRange.find(({ point }) => Number(point.totalValueUsd) === lowest)?.point ?? null,
    high: inRange.find(({ point }) => Number(point.totalValueUsd) === highest)?.point ?? null,
    from,
    to,
  };
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
