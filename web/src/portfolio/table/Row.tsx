import { memo } from "react";
import type { Position } from "../../api/schema";
import { chainColour, chainMark } from "../../chains";
import { sign } from "../../format/decimal";
import { amount, full, percent, price, usdShort } from "../../format/numbers";
import { capital, escaped, safeText, shortAddress } from "../../format/text";
import { length, millis } from "../../format/time";
import { useNow } from "../../state/hooks";
import { NOTHING } from "../../strings/common";
import { asOf, ROW } from "../../strings/table";
import { notCountedReason, notCountedShort, sourceName, spamReason } from "../../strings/tokenLabels";
import { AnimatedText } from "../../ui/AnimatedText";
import styles from "./Row.module.css";
import { TokenLogo } from "./TokenLogo";

interface Props {
  position: Position;
  chainName: string;
  /** Of the total, as text; null of what does not count. */
  share: string | null;
  /** Whose it is, where there are several wallets. */
  showWallet: boolean;
  /** Of a chain that did not answer: the time of the last reading, as text. */
  staleSince: string | null;
}

/** The cells of one position. Drawn anew only when something in it changed. */
export const Row = memo(function Row({ position, chainName, share, showWallet, staleSince }: Props) {
  const { symbol, name, tokenAddress, isSpam, valueUsd, priceUsd } = position;
  const shownSymbol = safeText(symbol, 24);
  const isUncounted = valueUsd !== null && !isSpam && !position.isCounted;
  const uncounted = isUncounted ? styles.uncounted : "";
  const under = isSpam
    ? capital(position.spamReasons.map(spamReason).join(", "))
    : [safeText(name), showWallet ? shortAddress(position.walletAddress) : ""].filter(Boolean).join(" · ");
  return (
    <>
      <div role="gridcell" className={`${styles.cell} ${styles.token}`}>
        <TokenLogo position={position} />
        <span className={styles.names}>
          <span className={styles.symbol} title={symbol === null ? undefined : escaped(symbol)}>
            {shownSymbol || shortAddress(tokenAddress)}
          </span>
          <span
            className={`${styles.small} ${isSpam ? styles.reason : ""}`}
            title={isSpam ? under : name === null ? undefined : escaped(name)}
          >
            {under || ROW.noName}
          </span>
        </span>
      </div>
      <div role="gridcell" className={`${styles.cell} ${styles.chain}`}>
        <span className={styles.chainName}>
          <ChainDot chainId={position.chainId} name={chainName} />
          {chainName}
        </span>
        {staleSince && <span className={`${styles.small} ${styles.warn}`}>{asOf(staleSince)}</span>}
      </div>
      <div
        role="gridcell"
        className={`${styles.cell} ${styles.number} ${styles.amount} ${isSpam ? styles.spam : ""}`}
        title={position.amount === null ? ROW.unknownDecimals : full(position.amount)}
      >
        <Amount position={position} />
      </div>
      <div role="gridcell" className={`${styles.cell} ${styles.number} ${styles.price}`} title={priceUsd ?? undefined}>
        {priceUsd === null ? (
          <span className={styles.faint}>{isSpam ? NOTHING : ROW.noPrice}</span>
        ) : (
          <>
            <AnimatedText text={price(priceUsd)} />
            <PriceSource position={position} />
          </>
        )}
      </div>
      <div role="gridcell" className={`${styles.cell} ${styles.number} ${styles.value} ${uncounted}`}>
        <Value position={position} />
        {isUncounted && (
          <span className={styles.small} title={notCountedReason(position.notCountedReason ?? "")}>
            {ROW.notCounted}
          </span>
        )}
      </div>
      <div role="gridcell" className={`${styles.cell} ${styles.number} ${styles.share}`}>
        {share ?? <span className={styles.faint}>{NOTHING}</span>}
      </div>
      <div role="gridcell" className={`${styles.cell} ${styles.number} ${styles.change} ${uncounted}`}>
        <DayChange value={position.change24h} />
      </div>
    </>
  );
});

function Amount({ position }: { position: Position }) {
  return position.amount === null ? (
    <span className={styles.faint}>{ROW.unknown}</span>
  ) : (
    <AnimatedText text={amount(position.amount)} />
  );
}

function Value({ position }: { position: Position }) {
  if (position.isSpam) return <span className={styles.faint}>{NOTHING}</span>;
  if (position.valueUsd === null) return <span className={styles.faint}>{ROW.unknown}</span>;
  const shown = <AnimatedText text={usdShort(position.valueUsd)} />;
  return position.isCounted ? shown : <span className={styles.faint}>{shown}</span>;
}

function PriceSource({ position }: { position: Position }) {
  const { priceSource, priceAt } = position;
  const now = useNow(60_000);
  const age = priceAt ? length(now - millis(priceAt)) : "";
  const note = priceNote(position);
  // The note first: it is what must not be cut where there is little room.
  const text = [note, sourceName(priceSource), age].filter(Boolean).join(" · ");
  return (
    <span className={`${styles.small} ${note ? styles.warn : ""}`} title={text}>
      {text}
    </span>
  );
}

/** The one thing to know of a price: why it does not count, or else that there is something about it. */
function priceNote({ valueUsd, notCountedReason: reason, flags }: Position): string {
  if (valueUsd !== null && reason !== null) return notCountedShort(reason);
  return flags.includes("old_price") ? ROW.oldPrice : flags.includes("sources_disagree") ? ROW.sourcesDiffer : "";
}

function DayChange({ value }: { value: string | null }) {
  if (value === null) return <span className={styles.faint}>{NOTHING}</span>;
  const direction = sign(value);
  return (
    <span className={direction > 0 ? styles.up : direction < 0 ? styles.down : styles.faint}>
      <span aria-hidden="true" className={styles.arrow}>
        {direction > 0 ? "▲" : direction < 0 ? "▼" : ""}
      </span>
      {percent(value, true)}
    </span>
  );
}

function ChainDot({ chainId, name }: { chainId: number; name: string }) {
  return (
    <span className={styles.mark} style={{ background: chainColour(chainId) }} aria-hidden="true">
      {chainMark(name, 1)}
    </span>
  );
}
