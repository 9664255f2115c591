import { useMemo } from "react";
import type { Portfolio } from "../../api/schema";
import { absolute, sign } from "../../format/decimal";
import { percent, usd, usdParts } from "../../format/numbers";
import { useHistory, useNow } from "../../state/hooks";
import { BY_PRICES, changeSpan, DIRECTIONS, WORTH } from "../../strings/summary";
import { AnimatedText } from "../../ui/AnimatedText";
import { VisuallyHidden } from "../../ui/VisuallyHidden";
import { dayChange, type PriceChange, priceChange } from "./change";
import styles from "./Total.module.css";

const SIGNS = { "1": ["▲", "+", DIRECTIONS.up], "0": ["", "", ""], "-1": ["▼", "−", DIRECTIONS.down] } as const;

/** What all of it is worth, and what that changed over a day. */
export function Total({ portfolio, isOld }: { portfolio: Portfolio; isOld: boolean }) {
  const { whole, cents } = usdParts(portfolio.totalValueUsd);
  const { data: history } = useHistory(1);
  const now = useNow(60_000);
  const change = history && !isOld ? dayChange(portfolio.totalValueUsd, history, now) : null;
  const byPrices = useMemo(
    () => (history && !isOld && !change ? priceChange(portfolio.positions) : null),
    [history, isOld, change, portfolio],
  );
  return (
    <div className={styles.total}>
      <h1 className={`${styles.number} ${whole.length > 14 ? styles.long : ""}`} title={usd(portfolio.totalValueUsd)}>
        <VisuallyHidden>{WORTH}</VisuallyHidden>
        <AnimatedText text={whole} />
        <span className={styles.cents}>
          <AnimatedText text={cents} />
        </span>
      </h1>
      <p className={styles.change}>
        {change && <ChangeText change={change} span={changeSpan(change, now)} />}
        {byPrices && <ChangeText change={byPrices} span={BY_PRICES} />}
      </p>
    </div>
  );
}

function ChangeText({ change, span }: { change: PriceChange; span: string }) {
  const direction = sign(change.usd);
  const [arrow, mark, word] = SIGNS[direction];
  return (
    <>
      <span className={direction > 0 ? styles.up : direction < 0 ? styles.down : undefined}>
        {arrow && (
          <>
            <span aria-hidden className={styles.arrow}>
              {arrow}
            </span>
            <VisuallyHidden>{word}</VisuallyHidden>
          </>
        )}
        {mark}
        {usd(absolute(change.usd))}
        {change.percent !== null && ` (${percent(change.percent, true)})`}
      </span>
      <span className={styles.span}>{span}</span>
    </>
  );
}
