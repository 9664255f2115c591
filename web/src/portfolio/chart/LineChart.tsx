import { type KeyboardEvent, type PointerEvent, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { History, HistoryPoint, Portfolio } from "../../api/schema";
import type { Chains } from "../../chains";
import { absolute, percentOf, subtract } from "../../format/decimal";
import { percent, usd } from "../../format/numbers";
import { day, moment } from "../../format/time";
import { historyPath, useChains, useHistory, useNow, useWatched } from "../../state/hooks";
import { CHART, dayChangeText, eventText, extent, RANGES } from "../../strings/chart";
import { leftOut } from "../../strings/leftOut";
import { Choice } from "../../ui/Choice";
import styles from "./LineChart.module.css";
import { aDayBefore, isFirstDay, type Line, line, nearest, path, type Spot } from "./line";

const HEIGHT = 160;
/** Room for the line's own thickness, and for a mark at its end. */
const STROKE = 6;

/** What all of it was worth over a time; nothing is drawn where nothing was read. */
export function LineChart({ portfolio }: { portfolio: Portfolio }) {
  const [wanted, setDays] = useState<number | null>(null);
  const { data: today } = useHistory(1);
  const days = wanted ?? (today && isFirstDay(today) ? 1 : 30);
  const { data, problem } = useHistory(days);
  // A day is drawn over the one before it, which is in the longer range.
  const { data: week } = useWatched<History>(days === 1 ? historyPath(7) : null);
  const [box, width] = useWidth();
  const now = useNow(60_000);
  const history = useMemo(() => data && upTo(data, portfolio), [data, portfolio]);
  const drawn = useMemo(
    () => (history && width > 0 ? line(history, now, width - STROKE, HEIGHT, week) : null),
    [history, now, width, week],
  );
  const [chosen, setChosen] = useState<number | null>(null);
  const spot = chosen === null ? undefined : drawn?.spots[Math.min(chosen, drawn.spots.length - 1)];

  return (
    <section className={styles.chart} aria-label={CHART.label}>
      <div className={styles.head}>
        <p className={styles.readout}>
          {spot ? <Reading spot={spot} history={week ?? history} now={now} /> : drawn && <Extent line={drawn} />}
        </p>
        <Choice
          label={CHART.range}
          options={RANGES}
          value={days}
          onChange={(value) => {
            setChosen(null);
            setDays(value);
          }}
        />
      </div>
      <div ref={box} className={styles.box}>
        {drawn && drawn.spots.length > 0 && (
          <Plot drawn={drawn} history={week ?? history} width={width} chosen={chosen} onChoose={setChosen} now={now} />
        )}
        {(problem || (drawn && drawn.spots.length === 0)) && (
          <p className={styles.none}>{drawn ? CHART.empty : CHART.failed}</p>
        )}
      </div>
      <div className={styles.ends}>
        {drawn && (
          <>
            <span>{days === 1 ? moment(drawn.from, now) : day(drawn.from)}</span>
            <Legend line={drawn} />
            <span>{CHART.now}</span>
          </>
        )}
      </div>
    </section>
  );
}

/** What the marks stand for, where there are any. */
function Legend({ line: { spots, dayBefore } }: { line: Line }) {
  const kinds = new Set(spots.flatMap(({ events }) => events.map(({ kind }) => kind)));
  return (
    <span className={styles.legend}>
      {dayBefore.length > 0 && <span className={styles.ofDayBefore}>{CHART.dayBefore}</span>}
      {kinds.has("wallet") && <span className={styles.ofWallet}>{CHART.walletAdded}</span>}
      {kinds.has("stale") && <span className={styles.ofStale}>{CHART.chainStale}</span>}
    </span>
  );
}

interface PlotProps {
  drawn: Line;
  history: History | null;
  width: number;
  chosen: number | null;
  onChoose: (index: number | null) => void;
  now: number;
}

function Plot({ drawn, history, width, chosen, onChoose, now }: PlotProps) {
  const last = drawn.spots.length - 1;
  const chains = useChains();
  const spot = chosen === null ? undefined : drawn.spots[Math.min(chosen, last)];
  const paths = useMemo(() => drawn.runs.map(path), [drawn]);
  const before = useMemo(() => drawn.dayBefore.map(path), [drawn]);
  const marked = useMemo(() => drawn.spots.filter(({ events }) => events.length > 0), [drawn]);

  const follow = (event: PointerEvent<HTMLElement>) =>
    onChoose(nearest(drawn.spots, event.clientX - event.currentTarget.getBoundingClientRect().left));
  const step = (event: KeyboardEvent) => {
    const from = chosen ?? last;
    const steps: Record<string, number> = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    const to = steps[event.key];
    if (event.key === "Escape") onChoose(null);
    if (to === undefined) return;
    event.preventDefault();
    onChoose(Math.max(0, Math.min(last, to)));
  };

  return (
    <div
      className={styles.plot}
      role="slider"
      tabIndex={0}
      aria-label={CHART.readings}
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={chosen ?? last}
      aria-valuetext={readingText(spot ?? drawn.spots[last], history, now, chains)}
      onPointerMove={follow}
      onPointerDown={follow}
      onPointerLeave={() => onChoose(null)}
      onKeyDown={step}
      onBlur={() => onChoose(null)}
    >
      <svg
        width={width}
        height={HEIGHT + 2 * STROKE}
        viewBox={`0 ${-STROKE} ${width} ${HEIGHT + 2 * STROKE}`}
        aria-hidden="true"
        className={styles.svg}
      >
        {before.map((d) => (
          <path key={d} d={d} className={styles.before} />
        ))}
        {paths.map((d) => (
          <path key={d} d={d} className={`${styles.line} ${d.endsWith("h0") ? styles.lone : ""}`} />
        ))}
        {marked.map(({ x, y, events, point }) => (
          <circle
            key={point.at}
            cx={x}
            cy={y}
            r={4}
            className={`${styles.event} ${events.some(({ kind }) => kind === "stale") ? styles.stale : ""}`}
          />
        ))}
        {spot && (
          <>
            <line x1={spot.x} x2={spot.x} y1={0} y2={HEIGHT} className={styles.cursor} />
            <circle cx={spot.x} cy={spot.y} r={4} className={styles.dot} />
          </>
        )}
      </svg>
    </div>
  );
}

function Extent({ line: { low, high, spots, isFirstDay } }: { line: Line }) {
  if (!low || !high) return null;
  if (spots.length === 1 && isFirstDay) return <span className={styles.quiet}>{CHART.first}</span>;
  const range = extent(low.totalValueUsd, high.totalValueUsd);
  return <span className={styles.quiet}>{isFirstDay ? `${range} · ${CHART.young}` : range}</span>;
}

function Reading({ spot, history, now }: { spot: Spot; history: History | null; now: number }) {
  const chains = useChains();
  const { point, events } = spot;
  const change = changeOver(point, history);
  const rest = [moment(point.at, now), leftOut(point, chains), ...events.map((event) => eventText(event, now, chains))];
  return (
    <>
      <b>{usd(point.totalValueUsd)}</b>{" "}
      {change && <span className={change.startsWith("−") ? styles.down : styles.up}>{dayChangeText(change)}</span>}{" "}
      <span className={styles.quiet}>{rest.join(" · ")}</span>
    </>
  );
}

function readingText(spot: Spot | undefined, history: History | null, now: number, chains: Chains): string {
  if (!spot) return "";
  const { point, events } = spot;
  const change = changeOver(point, history);
  return [
    usd(point.totalValueUsd),
    change && dayChangeText(change),
    moment(point.at, now),
    leftOut(point, chains),
    ...events.map((event) => eventText(event, now, chains)),
  ]
    .filter(Boolean)
    .join(", ");
}

/** Against the reading of a day before, signed and in percent; null where there is none. */
function changeOver(point: HistoryPoint, history: History | null): string | null {
  const then = history && aDayBefore(point, history);
  if (!then) return null;
  const part = percentOf(subtract(point.totalValueUsd, then.totalValueUsd), absolute(then.totalValueUsd), 4);
  return part === null ? null : percent(part, true);
}

/** With the portfolio that is shown as the last reading, where it is newer: the line ends in the number. */
function upTo(history: History, { asOf, totalValueUsd, omitted }: Portfolio): History {
  const last = history.points.at(-1);
  if (!asOf || (last && Date.parse(asOf) <= Date.parse(last.at))) return history;
  return { ...history, points: [...history.points, { at: asOf, totalValueUsd, omitted }] };
}

function useWidth() {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [box, width] as const;
}
