import type { CSSProperties } from "react";
import { chainColour, chainMark } from "../chains";
import { markText } from "../strings/syncPanel";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import styles from "./ChainMarks.module.css";
import type { Mark } from "./marks";

const SIGNS = { waiting: "", reading: "", done: "✓", failed: "!", skipped: "–" } as const;

/** A small mark a chain, which fills as the chain answers. */
export function ChainMarks({ marks }: { marks: readonly Mark[] }) {
  return (
    <ul className={styles.marks}>
      {marks.map(({ chain, state, words }) => (
        <li
          key={chain.chainId}
          className={`${styles.mark} ${styles[state]}`}
          style={{ "--chain": chainColour(chain.chainId) } as CSSProperties}
          title={state === "failed" || state === "skipped" ? words : markText(chain.name, words)}
        >
          <span aria-hidden>{chainMark(chain.name)}</span>
          <span aria-hidden className={styles.sign}>
            {SIGNS[state]}
          </span>
          <VisuallyHidden>{markText(chain.name, words)}</VisuallyHidden>
        </li>
      ))}
    </ul>
  );
}
