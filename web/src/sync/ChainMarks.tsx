import type { CSSProperties } from "react";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import styles from "./ChainMarks.module.css";
import type { Mark } from "./marks";

const SIGNS = { waiting: "", reading: "", done: "✓", failed: "!", skipped: "–" } as const;

/** Five small marks that fill as each chain answers. */
export function ChainMarks({ marks }: { marks: readonly Mark[] }) {
  return (
    <ul className={styles.marks}>
      {marks.map(({ chain, state, words }) => (
        <li
          key={chain.id}
          className={`${styles.mark} ${styles[state]}`}
          style={{ "--chain": chain.colour } as CSSProperties}
          title={state === "failed" || state === "skipped" ? words : `${chain.name}: ${words}`}
        >
          <span aria-hidden>{chain.mark}</span>
          <span aria-hidden className={styles.sign}>
            {SIGNS[state]}
          </span>
          <VisuallyHidden>
            {chain.name}: {words}
          </VisuallyHidden>
        </li>
      ))}
    </ul>
  );
}
