import { clock } from "../format/time";
import { useChains } from "../state/hooks";
import { moreChanges } from "../strings/syncPanel";
import { changeWords, failureWords, summaryWords, unreadWords } from "../strings/syncResult";
import { Disclosure } from "../ui/Disclosure";
import { ErrorNote } from "../ui/ErrorNote";
import type { Change } from "./changes";
import type { Result } from "./run";
import styles from "./SyncResult.module.css";

const SHOWN = 3;

/** What a sync changed, and what it could not read. */
export function SyncResult({ result }: { result: Result }) {
  const { changes, unread, failure, endedAt } = result;
  const chains = useChains();
  if (failure) return <ErrorNote {...failureWords(failure)} />;
  const held = changes?.held ?? [];
  return (
    <div className={styles.result}>
      <ul className={styles.changes}>
        {held.slice(0, SHOWN).map((change) => (
          <ChangeLine key={`${change.chainId}:${change.tokenAddress}`} change={change} />
        ))}
        <li className={styles.quiet}>{[summaryWords(changes), clock(endedAt)].filter(Boolean).join(" · ")}</li>
      </ul>
      {held.length > SHOWN && (
        <Disclosure summary={moreChanges(held.length - SHOWN)}>
          <ul className={styles.more}>
            {held.slice(SHOWN).map((change) => (
              <ChangeLine key={`${change.chainId}:${change.tokenAddress}`} change={change} />
            ))}
          </ul>
        </Disclosure>
      )}
      {unread.length > 0 && (
        <ul className={styles.unread}>
          {unread.map((chain) => (
            <li key={chain.chainId}>{unreadWords(chain, chains)}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function ChangeLine({ change }: { change: Change }) {
  const chains = useChains();
  const { text, exact } = changeWords(change, chains);
  return (
    <li className={styles.change} title={exact ?? undefined}>
      {text}
    </li>
  );
}
