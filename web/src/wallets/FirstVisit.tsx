import { useEffect } from "react";
import { list, shortAddress } from "../format/text";
import { useChains, useLive, usePortfolio, useSyncStatus } from "../state/hooks";
import { triggerProblem } from "../strings/syncProblems";
import { failureWords } from "../strings/syncResult";
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
            Which wallet is yours?
          </h1>
          <p className={styles.quiet}>
            Paste its address. It is read on {list(chains.all.map(({ name }) => name))}; reading takes no key and no
            signature.
          </p>
          {problem ? (
            <ErrorNote what="Your wallets could not be looked up." next="Check your connection and try again.">
              <Button onClick={read}>Try again</Button>
            </ErrorNote>
          ) : (
            <AddressForm registered={addresses} onAdd={add} action="Show it" autoFocus />
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
        {addresses.length === 1 ? `Reading ${shortAddress(addresses[0] ?? "")}` : `Reading ${addresses.length} wallets`}
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
        {status?.pause
          ? "All syncs are paused. Yours begins when the pause ends."
          : isUnderWay
            ? "Each mark is a chain; it fills when that chain has answered."
            : ""}
      </p>
      {!isUnderWay && status && (
        <ErrorNote
          what={refused?.what ?? failed ?? "Your wallet was not read yet."}
          next={refused?.next ?? "Nothing is lost. Try again."}
        >
          {refused?.again !== false && <Button onClick={start}>Read it now</Button>}
        </ErrorNote>
      )}
    </>
  );
}
