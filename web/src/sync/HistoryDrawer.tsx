import { useCallback, useEffect, useState } from "react";
import { Problem } from "../api/client";
import type { Operation } from "../api/schema";
import { useLive, useStore, useSyncStatus } from "../state/hooks";
import { LOADING, TRY_AGAIN } from "../strings/common";
import { HISTORY, noneWithin, onlyLast } from "../strings/history";
import { Button } from "../ui/Button";
import { Drawer } from "../ui/Drawer";
import { ErrorNote } from "../ui/ErrorNote";
import { CancelSync } from "./CancelSync";
import styles from "./HistoryDrawer.module.css";
import { historyCsv } from "./historyCsv";
import { OperationRow } from "./OperationRow";

interface Props {
  open: boolean;
  onClose: () => void;
}

const MOST = 100;
const DAYS = 90;

/** The syncs of the last days. */
export function HistoryDrawer({ open, onClose }: Props) {
  const [operations, setOperations] = useState<Operation[] | null>(null);
  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={HISTORY.title}
      actions={
        operations?.length ? (
          <Button kind="quiet" onClick={() => save(operations)}>
            {HISTORY.save}
          </Button>
        ) : null
      }
    >
      <HistoryList operations={operations} onRead={setOperations} />
    </Drawer>
  );
}

interface ListProps {
  operations: Operation[] | null;
  onRead: (operations: Operation[]) => void;
}

function HistoryList({ operations, onRead }: ListProps) {
  const { request } = useStore();
  const { status } = useSyncStatus();
  const { lastOutcome } = useLive();
  const [problem, setProblem] = useState<Problem | null>(null);

  const read = useCallback(async () => {
    try {
      onRead(await request<Operation[]>(`/sync/operations?limit=${MOST}&days=${DAYS}`));
      setProblem(null);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    }
  }, [request, onRead]);

  // Read anew as a sync begins and ends.
  const running = status?.runningOperation?.syncOperationId;
  // biome-ignore lint/correctness/useExhaustiveDependencies: they are when, not what.
  useEffect(() => void read(), [read, running, lastOutcome]);

  return (
    <>
      {problem && (
        <ErrorNote {...HISTORY.failed}>
          <Button onClick={read}>{TRY_AGAIN}</Button>
        </ErrorNote>
      )}
      {status?.pendingRequestId && (
        <div className={styles.waiting}>
          <span>{HISTORY.waiting}</span>
          <CancelSync id={status.pendingRequestId} onEnd={read} />
        </div>
      )}
      {operations === null && !problem && <Skeleton />}
      {operations?.length === 0 && <p className={styles.none}>{noneWithin(DAYS)}</p>}
      {operations && operations.length > 0 && (
        <ul className={styles.list}>
          {operations.map((operation) => (
            <li key={operation.syncOperationId}>
              <OperationRow operation={operation} onEnd={read} />
            </li>
          ))}
        </ul>
      )}
      {operations?.length === MOST && <p className={styles.none}>{onlyLast(MOST)}</p>}
    </>
  );
}

function Skeleton() {
  return (
    <ul className={styles.list} aria-label={LOADING}>
      {Array.from({ length: 8 }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike.
        <li key={row} className={styles.bone} />
      ))}
    </ul>
  );
}

function save(operations: readonly Operation[]): void {
  const url = URL.createObjectURL(new Blob([historyCsv(operations)], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = HISTORY.file;
  link.click();
  URL.revokeObjectURL(url);
}
