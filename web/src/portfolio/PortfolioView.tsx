import type { Portfolio } from "../api/schema";
import { list } from "../format/text";
import { NOTHING_HELD, nothingHeld, ONLY_SPAM } from "../strings/summary";
import { SyncPanel } from "../sync/SyncPanel";
import { LineChart } from "./chart/LineChart";
import styles from "./PortfolioView.module.css";
import { SplitBar } from "./summary/SplitBar";
import { Total } from "./summary/Total";
import { TotalCaveats } from "./summary/TotalCaveats";
import { Positions } from "./table/Positions";

/** What am I worth, is that true now, what changed: in this order. */
export function PortfolioView({ portfolio, isOld }: { portfolio: Portfolio; isOld: boolean }) {
  const { positions, omitted, chains } = portfolio;
  const isEmpty = positions.length === 0 && omitted.spam === 0 && omitted.unread === 0;
  return (
    <div className={`${styles.view} ${isOld ? styles.old : ""}`}>
      <div className={styles.top}>
        <Total portfolio={portfolio} isOld={isOld} />
        <div className={styles.sync}>
          <SyncPanel />
        </div>
        <div className={styles.line}>
          <TotalCaveats portfolio={portfolio} />
        </div>
      </div>
      {isEmpty ? (
        <Nothing title={NOTHING_HELD}>{nothingHeld(list(chains.map(({ name }) => name)))}</Nothing>
      ) : (
        <>
          <LineChart portfolio={portfolio} />
          <SplitBar portfolio={portfolio} />
          {positions.every(({ isSpam }) => isSpam) && <Nothing title={ONLY_SPAM.title}>{ONLY_SPAM.text}</Nothing>}
          <Positions portfolio={portfolio} />
        </>
      )}
    </div>
  );
}

function Nothing({ title, children }: { title: string; children: string }) {
  return (
    <section className={styles.nothing}>
      <h2>{title}</h2>
      <p>{children}</p>
    </section>
  );
}
