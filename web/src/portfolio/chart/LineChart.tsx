import { type KeyboardEvent, type PointerEvent, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { History, HistoryPoint, Portfolio } from "../../api/schema";
import type { Chains } from "../../chains";
import { usd } from "../../format/numbers";
import { day, moment } from "../../format/time";
import { useChains, useHistory, useNow } from "../../state/hooks";
import { CHART, extent, RANGES } from "../../strings/chart";
import { leftOut } from "../../strings/leftOut";
import { Choice } from "../../ui/Choice";
import styles from "./LineChart.module.css";
import { type Line, line, nearest, path } from "./line";

const HEIGHT = 160;
/** Room for the line's own thickness. */
const STROKE = 4;

/** What all of it was worth over a time; nothing is drawn where nothing was read. */
export function LineChart({ portfolio }: { portfolio: Portfolio }) {
  const [days, setDays] = useState(30);
  const { data, problem } = useHistory(days);
  const [box, width] = useWidth();
  const now = useNow(60_000);
  const history = useMemo(() => data && upTo(data, portfolio), [data, portfolio]);
  const drawn = useMemo(
    () => (history && width > 0 ? line(history, now, width - STROKE, HEIGHT) : null),
    [history, now, width],
  );
  const [chosen, setChosen] = useState<number | null>(null);
  const spot = chosen === null ? undefined : drawn?.spots[Math.min(chosen, drawn.spots.length - 1)];

  return (
    <section className={styles.chart} aria-label={CHART.label}>
      <div className={styles.head}>
        <p className={styles.readout}>
          {spot ? <Reading point={spot.point} now={now} /> : drawn && <Extent line={drawn} />}
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
          <Plot drawn={drawn} width={width} chosen={chosen} onChoose={setChosen} now={now} />
        )}
        {(problem || (drawn && drawn.spots.length === 0)) && (
          <p className={styles.none}>{drawn ? CHART.empty : CHART.failed}</p>
        )}
      </div>
      <div className={styles.ends}>
        {drawn && (
          <>
            <span>{days === 1 ? moment(drawn.from, now) : day(drawn.from)}</span>
            <span>{CHART.now}</span>
          </>
        )}
      </div>
    </section>
  );
}

interface PlotProps {
  drawn: Line;
  width: number;
  chosen: number | null;
  onChoose: (index: number | null) => void;
  now: number;
}

function Plot({ drawn, width, chosen, onChoose, now }: PlotProps) {
  const last = drawn.spots.length - 1;
  const chains = useChains();
  const spot = chosen === null ? undefined : drawn.spots[Math.min(chosen, last)];
  const paths = useMemo(() => drawn.runs.map(path), [drawn]);

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
      aria-valuetext={readingText((spot ?? drawn.spots[last])?.point, now, chains)}
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
        {paths.map((d) => (
          <path key={d} d={d} className={`${styles.line} ${d.endsWith("h0") ? styles.lone : ""}`} />
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

function Extent({ line: { low, high, spots } }: { line: Line }) {
  if (!low || !high) return null;
  if (spots.length === 1) return <span className={styles.quiet}>{CHART.first}</span>;
  return <span className={styles.quiet}>{extent(low.totalValueUsd, high.totalValueUsd)}</span>;
}

function Reading({ point, now }: { point: HistoryPoint; now: number }) {
  const chains = useChains();
  return (
    <>
      <b>{usd(point.totalValueUsd)}</b>{" "}
      <span className={styles.quiet}>{`${moment(point.at, now)} · ${leftOut(point, chains)}`}</span>
    </>
  );
}

function readingText(point: HistoryPoint | undefined, now: number, chains: Chains): string {
  return point ? `${usd(point.totalValueUsd)}, ${moment(point.at, now)}, ${leftOut(point, chains)}` : "";
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
