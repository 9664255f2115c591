import type { ReactNode } from "react";
import type { Position } from "../api/types";
import { chainName } from "../chains";
import { full, usd } from "../format/numbers";
import { safeText, shortAddress } from "../format/text";
import { ago, moment } from "../format/time";
import { useNow } from "../state/hooks";
import { CopyText } from "../ui/CopyText";
import styles from "./RowDetail.module.css";
import { capital, flagReason, sourceName, spamReason } from "./words";

/** All that is known of one position. */
export function RowDetail({ position }: { position: Position }) {
  const { amount, balance, priceUsd, priceAt, priceSource, valueUsd, flags, spamReasons } = position;
  const now = useNow(60_000);
  return (
    <dl className={styles.facts}>
      <Fact name="Name">{safeText(position.name, 120) || "None"}</Fact>
      <Fact name="Chain">{chainName(position.chainId)}</Fact>
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
      {flags.length > 0 && <Fact name="Note">{flags.map((flag) => `${flagReason(flag)}.`).join(" ")}</Fact>}
      {spamReasons.length > 0 && (
        <Fact name="Hidden because">{capital(`${spamReasons.map(spamReason).join(", and ")}.`)}</Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className={styles.fact}>
      <dt className={styles.name}>{name}</dt>
      <dd className={styles.value}>{children}</dd>
    </div>
  );
}
