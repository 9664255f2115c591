import type { ReactNode } from "react";
import styles from "./Disclosure.module.css";

interface Props {
  summary: ReactNode;
  onToggle?: (open: boolean) => void;
  children: ReactNode;
}

/** A line that opens what is behind it. */
export function Disclosure({ summary, onToggle, children }: Props) {
  return (
    <details className={styles.disclosure} onToggle={(event) => onToggle?.(event.currentTarget.open)}>
      <summary className={styles.summary}>{summary}</summary>
      <div className={styles.content}>{children}</div>
    </details>
  );
}
