import type { Position } from "../../api/schema";
import { full, usd } from "../../format/numbers";
import { capital, safeText, shortAddress } from "../../format/text";
import { useChains, useNow } from "../../state/hooks";
import { COPY } from "../../strings/common";
import { FACTS, inSmallestUnit, priceText, together } from "../../strings/position";
import { flagNote, notCountedReason, spamReason } from "../../strings/tokenLabels";
import { CopyText } from "../../ui/CopyText";
import { EvidenceSection } from "./EvidenceSection";
import { Fact, Facts } from "./Facts";
import { PriceLineFacts } from "./PriceLineFacts";
import styles from "./RowDetail.module.css";

/** All that is known of one position. */
export function RowDetail({ position }: { position: Position }) {
  const { amount, balance, priceUsd, priceAt, priceSource, valueUsd, isSpam, spamReasons } = position;
  const reason = position.notCountedReason;
  const notes = position.flags.filter((flag) => flag !== reason);
  const chains = useChains();
  const now = useNow(60_000);
  return (
    <div className={styles.detail}>
      <Facts>
        <Fact name={FACTS.name}>{safeText(position.name, 120) || FACTS.noName}</Fact>
        <Fact name={FACTS.chain}>{chains.name(position.chainId)}</Fact>
        <Fact name={FACTS.amount}>
          {amount === null ? (
            inSmallestUnit(balance)
          ) : (
            <CopyText text={amount} what={COPY.amount}>
              {full(amount)}
            </CopyText>
          )}
        </Fact>
        <Fact name={FACTS.price}>
          {priceUsd === null ? FACTS.noPrice : priceText(priceUsd, priceSource, priceAt, now)}
        </Fact>
        <PriceLineFacts position={position} />
        {valueUsd !== null && <Fact name={FACTS.value}>{usd(valueUsd)}</Fact>}
        <Fact name={FACTS.contract}>
          {position.isNative ? (
            FACTS.native
          ) : (
            <CopyText text={position.tokenAddress} what={COPY.contract}>
              {shortAddress(position.tokenAddress)}
            </CopyText>
          )}
        </Fact>
        <Fact name={FACTS.wallet}>
          <CopyText text={position.walletAddress} what={COPY.wallet}>
            {shortAddress(position.walletAddress)}
          </CopyText>
        </Fact>
        {reason !== null && valueUsd !== null && !isSpam && (
          <Fact name={FACTS.notCounted}>{`${notCountedReason(reason)}.`}</Fact>
        )}
        {notes.length > 0 && <Fact name={FACTS.note}>{notes.map((flag) => `${flagNote(flag)}.`).join(" ")}</Fact>}
        {spamReasons.length > 0 && <Fact name={FACTS.hidden}>{capital(together(spamReasons.map(spamReason)))}</Fact>}
      </Facts>
      <EvidenceSection position={position} />
    </div>
  );
}
