import { useEffect, useState } from "react";
import { Problem } from "../api/client";
import type { OperationDetail } from "../api/schema";
import type { OperationStatus } from "../api/types";
import type { Chains } from "../chains";
import { safeText, shortAddress } from "../format/text";
import { useChains, useStore } from "../state/hooks";
import { COPY, LOADING, TRY_AGAIN } from "../strings/common";
import { chainKept, chainRead, OPERATION } from "../strings/history";
import { chainSentence } from "../strings/syncLabels";
import { Button } from "../ui/Button";
import { CopyText } from "../ui/CopyText";
import { ErrorNote } from "../ui/ErrorNote";
import { ChainMarks } from "./ChainMarks";
import { endedMarks } from "./marks";
import styles from "./OperationDetails.module.css";

/** How each wallet was read on each chain. */
export function OperationDetails({ id, status }: { id: string; status: OperationStatus }) {
  const { request, session } = useStore();
  const chains = useChains();
  const [detail, setDetail] = useState<OperationDetail | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [tries, setTries] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: read anew when it ends, and when it is tried again.
  useEffect(() => {
    const stop = new AbortController();
    request<OperationDetail>(`/sync/operations/${id}`, { signal: stop.signal })
      .then((read) => {
        setDetail(read);
        setProblem(null);
      })
      .catch((error) => {
        if (error instanceof Problem) setProblem(error);
      });
    return () => stop.abort();
  }, [request, id, status, tries]);

  if (problem)
    return (
      <ErrorNote {...OPERATION.failed}>
        <Button onClick={() => setTries(tries + 1)}>{TRY_AGAIN}</Button>
      </ErrorNote>
    );
  if (!detail) return <p className={styles.quiet}>{LOADING}</p>;
  const wallets = [...new Set(detail.chains.map(({ walletAddress }) => walletAddress))];
  return (
    <div className={styles.details}>
      {detail.chains.length === 0 ? (
        <p className={styles.quiet}>{status === "running" ? OPERATION.noneYet : OPERATION.none}</p>
      ) : (
        <ChainMarks marks={endedMarks(detail.chains, chains)} />
      )}
      {wallets.map((wallet) => (
        <section key={wallet}>
          <h3 className={styles.wallet}>
            <CopyText text={wallet} what={COPY.address}>
              {shortAddress(wallet)}
            </CopyText>
          </h3>
          <ul>
            {detail.chains
              .filter(({ walletAddress }) => walletAddress === wallet)
              .map((chain) => (
                <li key={chain.chainId} className={styles.chain}>
                  {chainWords(chain, chains)}
                  {session.isAdmin && chain.reason && <p className={styles.quiet}>{safeText(chain.reason, 400)}</p>}
                </li>
              ))}
          </ul>
        </section>
      ))}
      {session.isAdmin && detail.dagsterRunUrl && (
        <a href={detail.dagsterRunUrl} target="_blank" rel="noreferrer">
          {OPERATION.dagsterRun}
        </a>
      )}
    </div>
  );
}

function chainWords(
  { chainId, outcome, tokens, reason, code, retryAt }: OperationDetail["chains"][number],
  chains: Chains,
): string {
  const name = chains.name(chainId);
  if (outcome === "ok") return chainRead(name, tokens);
  if (outcome === "kept") return chainKept(name);
  return chainSentence(name, { state: outcome, reason, code, retryAt });
}
