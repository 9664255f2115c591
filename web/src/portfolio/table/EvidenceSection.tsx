import { type ReactNode, useId } from "react";
import type { Explanation, Position } from "../../api/schema";
import { full, percent, price } from "../../format/numbers";
import { capital } from "../../format/text";
import { ago, moment } from "../../format/time";
import { useNow, useWatched } from "../../state/hooks";
import { NOTHING } from "../../strings/common";
import {
  askedAt,
  EVIDENCE,
  evidenceTitle,
  FROM_USED,
  listingText,
  notAsked,
  together,
  verdict,
} from "../../strings/position";
import { spamReason } from "../../strings/tokenLabels";
import styles from "./EvidenceSection.module.css";
import { balanceText, depthText, type Evidence, evidenceOf, evidencePath, type Said, said } from "./evidence";
import { Fact, Facts } from "./Facts";

/** How a position came to its price: read when it is opened. */
export function EvidenceSection({ position }: { position: Position }) {
  const { data, problem } = useWatched<Explanation>(evidencePath(position));
  const title = useId();
  const evidence = data && evidenceOf(data, position);
  const isNothingKept = (data && !evidence) || problem?.code === "not_found";
  return (
    <section aria-labelledby={title}>
      <h3 id={title} className={styles.title}>
        {evidenceTitle(position)}
      </h3>
      {evidence && data ? (
        <Found evidence={evidence} at={data.at} isNative={position.isNative} />
      ) : (
        <p className={styles.quiet}>
          {isNothingKept ? EVIDENCE.notKept : problem ? EVIDENCE.failed : EVIDENCE.reading}
        </p>
      )}
    </section>
  );
}

function Found({ evidence: { token, position }, at, isNative }: { evidence: Evidence; at: string; isNative: boolean }) {
  const now = useNow(60_000);
  const lists = token.listing?.lists ?? [];
  const depth = depthText(token);
  const balance = balanceText(position);
  return (
    <>
      <ul className={styles.said}>
        {said(token).map((one) => (
          <Line key={`${one.source} ${one.askedAt}`} said={one} now={now} />
        ))}
        {token.notAsked.length > 0 && <li className={styles.quiet}>{notAsked(token.notAsked)}</li>}
      </ul>
      <Facts>
        <Fact name={EVIDENCE.verdict}>{verdict(position)}</Fact>
        {(lists.length > 0 || !isNative) && <Fact name={EVIDENCE.lists}>{listingText(lists)}</Fact>}
        {depth && (
          <Fact name={EVIDENCE.pools}>
            {depth}
            <Quiet>{`, ${moment(token.depth?.at ?? at, now)}`}</Quiet>
          </Fact>
        )}
        {token.suspicions.length > 0 && (
          <Fact name={EVIDENCE.suspicious}>{capital(together(token.suspicions.map(spamReason)))}</Fact>
        )}
        <Fact name={EVIDENCE.amountBy}>
          {balance ?? EVIDENCE.earlierSync}
          {position.balanceAt && <Quiet>{`, ${moment(position.balanceAt, now)}`}</Quiet>}
        </Fact>
        <Fact name={EVIDENCE.workedOut}>{`${moment(at, now)} (${ago(at, now)})`}</Fact>
      </Facts>
    </>
  );
}

function Line({ said: line, now }: { said: Said; now: number }) {
  const { source, priceUsd, at, askedAt: readAt, isUsed, apart, words } = line;
  return (
    <li className={`${styles.line} ${isUsed ? styles.used : ""}`}>
      <span className={styles.source}>{source}</span>
      <span className={styles.price} title={priceUsd === null ? undefined : `$${full(priceUsd)}`}>
        {priceUsd === null ? NOTHING : price(priceUsd)}
      </span>
      <span className={`${styles.quiet} ${styles.apart}`} title={apart === null ? undefined : FROM_USED}>
        {apart === null ? "" : percent(apart, true)}
      </span>
      <span className={styles.quiet} title={askedAt(moment(readAt, now))}>
        {moment(at, now)}
      </span>
      <span className={isUsed ? undefined : styles.quiet}>{words}</span>
    </li>
  );
}

function Quiet({ children }: { children: ReactNode }) {
  return <span className={styles.quiet}>{children}</span>;
}
