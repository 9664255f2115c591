import type { ReactNode } from "react";
import styles from "./State.module.css";

/** A state in a word, with a sign beside its colour. */
export function State({ tone, children }: { tone: "good" | "warn" | "danger"; children: ReactNode }) {
  return <span className={`${styles.state} ${styles[tone]}`}>{children}</span>;
}
