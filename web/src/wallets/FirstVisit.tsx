import { useEffect } from "react";
import { useChains, useLive, usePortfolio, useSyncStatus } from "../state/hooks";
import { TRY_AGAIN } from "../strings/common";
import { triggerProblem } from "../strings/syncProblems";
import { failureWords } from "../strings/syncResult";
import { FIRST_VISIT, pasteAddress, readingWallets } from "../strings/wallets";
import { ChainMarks } from "../sync/ChainMarks";
import { marks } from "../sync/marks";
import { useSyncRun } from "../sync/useSyncRun";
import { Button } from "../ui/Button";
import { ErrorNote } from "../ui/ErrorNote";
import { AddressForm } from "./AddressForm";
import styles from "./FirstVisit.module.css";
import { useWallets } from "./useWallets";

/** From an address to its portfolio. */
export function FirstVisit({ onDone }: { onDone: () => void }) {
  const { portfolio } = usePortfolio();
  const { wallets, problem, read, add } = useWallets();
  const chains = useChains();

  const isRead = Boolean(portfolio?.asOf);
  useEffect(() => {
    if (isRead) onDone();
  }, [isRead, onDone]);

  const addresses = wallets?.wallets ?? [];
  return (
    <section className={styles.visit} aria-labelledby="first-visit">
      {addresses.length > 0 ? (
        <FirstSync addresses={addresses} />
      ) : (
        <>
          <h1 id="first-visit" className={styles.title}>
            {FIRST_VISIT.title}
          </h1>
          <p className={styles.quiet}>{pasteAddress(chains.all.map(({ name }) => name))}</p>
          {problem ? (
            <ErrorNote {...FIRST_VISIT.failed}>
              <Button onClick={read}>{TRY_AGAIN}</Button>
            </ErrorNote>
          ) : (
            <AddressForm registered={addresses} onAdd={add} action={FIRST_VISIT.show} autoFocus />
          )}
        </>
      )}
    </section>
  );
}

/** The sync that reads the wallets for the first time. */
function FirstSync({ addresses }: { addresses: readonly string[] }) {
  const { status } = useSyncStatus();
  const { progress } = useLive();
  const chains = useChains();
  const { isUnderWay, result, problem, start } = useSyncRun();
  const refused = problem && triggerProblem(problem);
  const failed = result?.failure ? failureWords(result.failure).what : null;
  return (
    <>
      <h1 id="first-visit" className={styles.title}>
        {readingWallets(addresses)}
      </h1>
      <ChainMarks
        marks={marks(
          isUnderWay ? progress : [],
          isUnderWay && status?.runningOperation != null,
          chains,
          status?.chains ?? [],
        )}
      />
      <p className={styles.quiet} role="status">
        {status?.pause ? FIRST_VISIT.paused : isUnderWay ? FIRST_VISIT.marks : ""}
      </p>
      {!isUnderWay && status && (
        <ErrorNote what={refused?.what ?? failed ?? FIRST_VISIT.notRead} next={refused?.next ?? FIRST_VISIT.notLost}>
          {refused?.again !== false && <Button onClick={start}>{FIRST_VISIT.readNow}</Button>}
        </ErrorNote>
      )}
    </>
  );
}
