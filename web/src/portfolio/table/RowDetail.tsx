import type { Position } from "../../api/schema";
import { full, usd } from "../../format/numbers";
import { capital, safeText, shortAddress } from "../../format/text";
import { ago, moment } from "../../format/time";
import { useChains, useNow } from "../../state/hooks";
import { flagNote, notCountedReason, sourceName, spamReason } from "../../strings/tokenLabels";
import { CopyText } from "../../ui/CopyText";
import { EvidenceSection } from "./EvidenceSection";
import { Fact, Facts } from "./Facts";
import styles from "./RowDetail.module.css";

/** All that is known of one position. */
export function RowDetail({ position }: { position: Position }) {
  const { amount, balance, priceUsd, priceAt, priceSource, valueUsd, isSpam, spamReasons } = position;
  const reason = position.notCountedReason;
  const notes = position.flags.filter((flag) => flag !== reason);
  const now = useNow(60_000);
  return (
    <div className={styles.detail}>
      <Facts>
        <Fact name="Name">{safeText(position.name, 120) || "None"}</Fact>
        <Fact name="Chain">{useChains().name(position.chainId)}</Fact>
        <Fact name="Amount">
          {amount === null ? (
            `${balance} of its smallest unit; how many make one is unknown`
          ) : (
            <CopyText text={amount} what="amount">
              {full(amount)}
            </CopyText>
          )}
        </Fact>
        <Fact name="Price">
          {priceUsd === null
            ? "No source that we trust has one"
            : `$${full(priceUsd)} by ${sourceName(priceSource)}${priceAt ? `, ${moment(priceAt, now)} (${ago(priceAt, now)})` : ""}`}
        </Fact>
        {valueUsd !== null && <Fact name="Value">{usd(valueUsd)}</Fact>}
        <Fact name="Contract">
          {position.isNative ? (
            "The chain's own coin"
          ) : (
            <CopyText text={position.tokenAddress} what="address of the contract">
              {shortAddress(position.tokenAddress)}
            </CopyText>
          )}
        </Fact>
        <Fact name="Wallet">
          <CopyText text={position.walletAddress} what="address of the wallet">
            {shortAddress(position.walletAddress)}
          </CopyText>
        </Fact>
        {reason !== null && valueUsd !== null && !isSpam && (
          <Fact name="Not in the total because">{notCountedReason(reason)}.</Fact>
        )}
        {notes.length > 0 && <Fact name="Note">{notes.map((flag) => `${flagNote(flag)}.`).join(" ")}</Fact>}
        {spamReasons.length > 0 && (
          <Fact name="Hidden because">{capital(`${spamReasons.map(spamReason).join(", and ")}.`)}</Fact>
        )}
      </Facts>
      <EvidenceSection position={position} />
    </div>
  );
}
