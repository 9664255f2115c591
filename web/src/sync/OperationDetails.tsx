import { useEffect, useState } from "react";
import { Problem } from "../api/client";
import type { OperationDetail } from "../api/schema";
import type { OperationStatus } from "../api/types";
import type { Chains } from "../chains";
import { counted, safeText, shortAddress } from "../format/text";
import { useChains, useStore } from "../state/hooks";
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
      <ErrorNote what="This sync could not be read." next="It may be too old to be kept, or the server is away.">
        <Button onClick={() => setTries(tries + 1)}>Try again</Button>
      </ErrorNote>
    );
  if (!detail) return <p className={styles.quiet}>Loading…</p>;
  const wallets = [...new Set(detail.chains.map(({ walletAddress }) => walletAddress))];
  return (
    <div className={styles.details}>
      {detail.chains.length === 0 ? (
        <p className={styles.quiet}>{status === "running" ? "No chain has answered yet." : "No chain was asked."}</p>
      ) : (
        <ChainMarks marks={endedMarks(detail.chains, chains)} />
      )}
      {wallets.map((wallet) => (
        <section key={wallet}>
          <h3 className={styles.wallet}>
            <CopyText text={wallet} what="address">
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
          Its run in Dagster
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
  if (outcome === "ok") return `${name}: ${counted(tokens, "token")}`;
  if (outcome === "kept") return `${name}: nothing had moved, so it was not asked`;
  return chainSentence(name, { state: outcome, reason, code, retryAt });
}
