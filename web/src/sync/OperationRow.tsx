import { useState } from "react";
import type { Operation } from "../api/schema";
import { usd } from "../format/numbers";
import { counted } from "../format/text";
import { duration, length, moment } from "../format/time";
import { useNow } from "../state/hooks";
import { beganAt } from "../strings/history";
import { operationReason, STATUSES, TRIGGERS } from "../strings/syncLabels";
import { Disclosure } from "../ui/Disclosure";
import { CancelSync } from "./CancelSync";
import { OperationDetails } from "./OperationDetails";
import styles from "./OperationRow.module.css";

interface Props {
  operation: Operation;
  /** It was cancelled here. */
  onEnd: () => void;
}

/** A sync in two lines, which opens how each chain went. */
export function OperationRow({ operation, onEnd }: Props) {
  const { syncOperationId, status, trigger, startedAt, durationMs, totalValueUsd, tokensSynced } = operation;
  const [isOpen, setOpen] = useState(false);
  const now = useNow(status === "running" ? 1_000 : 60_000);
  const reason = operationReason(operation);
  const took = durationMs === null ? length(now - Date.parse(startedAt)) : duration(durationMs);
  return (
    <div className={styles.row}>
      <Disclosure
        onToggle={setOpen}
        summary={
          <span className={styles.lines}>
            <span className={styles.first}>
              <span className={`${styles.status} ${styles[status]}`}>{STATUSES[status]}</span>
              <time dateTime={startedAt} title={beganAt(startedAt)}>
                {moment(startedAt, now)}
              </time>
              <span className={styles.total}>{totalValueUsd === null ? "" : usd(totalValueUsd)}</span>
            </span>
            <span className={styles.second}>
              {[TRIGGERS[trigger], took, tokensSynced > 0 && counted(tokensSynced, "token"), reason]
                .filter(Boolean)
                .join(" · ")}
            </span>
          </span>
        }
      >
        {isOpen && <OperationDetails id={syncOperationId} status={status} />}
      </Disclosure>
      {(status === "running" || status === "pending") && <CancelSync id={syncOperationId} onEnd={onEnd} />}
    </div>
  );
}
