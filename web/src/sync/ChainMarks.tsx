import type { CSSProperties } from "react";
import { chainColour, chainMark } from "../chains";
import { markText } from "../strings/syncPanel";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import styles from "./ChainMarks.module.css";
import type { Mark } from "./marks";

const SIGNS = { waiting: "", reading: "", done: "✓", failed: "!", skipped: "–" } as const;

/** As many marks as fit in the place of the button. */
const FITTING = 5;

/** A small mark a chain, which fills as the chain answers. */
export function ChainMarks({ marks }: { marks: readonly Mark[] }) {
  const areMany = marks.length > FITTING;
  return (
    <ul className={`${styles.marks} ${areMany ? styles.many : ""}`}>
      {marks.map(({ chain, state, words }) => (
        <li
          key={chain.chainId}
          className={`${styles.mark} ${styles[state]}`}
          style={{ "--chain": chainColour(chain.chainId) } as CSSProperties}
          title={state === "failed" || state === "skipped" ? words : markText(chain.name, words)}
        >
          <span aria-hidden>{chainMark(chain.name, areMany ? 1 : 2)}</span>
          <span aria-hidden className={styles.sign}>
            {SIGNS[state]}
          </span>
          <VisuallyHidden>{markText(chain.name, words)}</VisuallyHidden>
        </li>
      ))}
    </ul>
  );
}
