import { type ReactNode, useId } from "react";
import type { Explanation, Position } from "../../api/schema";
import { full, price } from "../../format/numbers";
import { capital, list } from "../../format/text";
import { ago, moment } from "../../format/time";
import { useNow, useWatched } from "../../state/hooks";
import { sourceName, spamReason } from "../../strings/tokenLabels";
import styles from "./EvidenceSection.module.css";
import {
  balanceText,
  depthText,
  type Evidence,
  evidenceOf,
  evidencePath,
  listingText,
  type Said,
  said,
} from "./evidence";
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
        {question(position)}
      </h3>
      {evidence && data ? (
        <Found evidence={evidence} at={data.at} isNative={position.isNative} />
      ) : (
        <p className={styles.quiet}>
          {isNothingKept
            ? "How this came about was not kept. The next sync keeps it."
            : problem
              ? "How this came about can't be read now."
              : "Reading who said what"}
        </p>
      )}
    </section>
  );
}

function question({ isSpam, priceUsd }: Position): string {
  if (isSpam) return "Why is it hidden?";
  return priceUsd === null ? "Why has it no price?" : "Why this price?";
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
        {token.notAsked.length > 0 && (
          <li className={styles.quiet}>{`Not asked: ${list(token.notAsked.map(sourceName))}`}</li>
        )}
      </ul>
      <Facts>
        {(lists.length > 0 || !isNative) && <Fact name="Lists">{listingText(lists)}</Fact>}
        {depth && (
          <Fact name="Its pools hold">
            {depth}
            <Quiet>{`, ${moment(token.depth?.at ?? at, now)}`}</Quiet>
          </Fact>
        )}
        {token.suspicions.length > 0 && (
          <Fact name="Suspicious">{capital(`${token.suspicions.map(spamReason).join(", and ")}.`)}</Fact>
        )}
        <Fact name="Amount by">
          {balance ?? "an earlier sync"}
          {position.balanceAt && <Quiet>{`, ${moment(position.balanceAt, now)}`}</Quiet>}
        </Fact>
        <Fact name="Worked out">{`${moment(at, now)} (${ago(at, now)})`}</Fact>
      </Facts>
    </>
  );
}

function Line({ said: { source, priceUsd, at, askedAt, isUsed, words }, now }: { said: Said; now: number }) {
  return (
    <li className={`${styles.line} ${isUsed ? styles.used : ""}`}>
      <span className={styles.source}>{source}</span>
      <span className={styles.price} title={priceUsd === null ? undefined : `$${full(priceUsd)}`}>
        {priceUsd === null ? "–" : price(priceUsd)}
      </span>
      <span className={styles.quiet} title={`Asked ${moment(askedAt, now)}`}>
        {moment(at, now)}
      </span>
      <span className={isUsed ? undefined : styles.quiet}>{words}</span>
    </li>
  );
}

function Quiet({ children }: { children: ReactNode }) {
  return <span className={styles.quiet}>{children}</span>;
}
