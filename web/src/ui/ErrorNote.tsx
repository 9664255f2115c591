import type { ReactNode } from "react";
import styles from "./ErrorNote.module.css";

interface Props {
  /** What happened, one sentence. */
  what: string;
  /** What to do next. */
  next: string;
  /** The button that does it, where there is one. */
  children?: ReactNode;
}

/** What went wrong, and the next step. */
export function ErrorNote({ what, next, children }: Props) {
  return (
    <div className={styles.note} role="alert">
      <div className={styles.text}>
        <p className={styles.what}>{what}</p>
        <p className={styles.next}>{next}</p>
      </div>
      {children}
    </div>
  );
}
