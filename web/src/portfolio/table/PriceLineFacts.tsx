import type { Position, PriceLines } from "../../api/schema";
import { useNow, useWatched } from "../../state/hooks";
import { moveText, PRICE_LINE } from "../../strings/position";
import { Fact } from "./Facts";
import styles from "./PriceLineFacts.module.css";
import { lastDay, lineOf, move, paths } from "./priceLine";

const WIDTH = 120;
const HEIGHT = 24;

/** What one of a token was worth over the last day and week, where a source told that: read when a row is opened. */
export function PriceLineFacts({ position }: { position: Position }) {
  const { data } = useWatched<PriceLines>(position.isCounted ? "/portfolio/price-lines" : null);
  const now = useNow(60_000);
  const line = data && lineOf(data.lines, position);
  if (!line) return null;
  const ways = [
    { name: PRICE_LINE.day, prices: lastDay(line.prices) },
    { name: PRICE_LINE.week, prices: line.prices },
  ];
  return ways.map(({ name, prices }) => {
    const moved = move(prices);
    return (
      moved && (
        <Fact key={name} name={name}>
          <svg
            className={styles.line}
            width={WIDTH}
            height={HEIGHT}
            viewBox={`0 -1 ${WIDTH} ${HEIGHT + 2}`}
            aria-hidden="true"
          >
            {paths(prices, WIDTH, HEIGHT).map((d) => (
              <path key={d} d={d} />
            ))}
          </svg>
          {moveText(moved, line.source, line.endsAt, now)}
        </Fact>
      )
    );
  });
}
