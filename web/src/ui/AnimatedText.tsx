import { useState } from "react";
import styles from "./AnimatedText.module.css";

/** Text that fades from its old to its new when it changes in place. */
export function AnimatedText({ text }: { text: string }) {
  const [shown, setShown] = useState<{ text: string; before: string | null }>({ text, before: null });
  if (shown.text !== text) setShown({ text, before: shown.text });
  if (shown.before === null) return text;
  return (
    <span className={styles.animated} key={shown.text}>
      <span className={styles.before} aria-hidden>
        {shown.before}
      </span>
      <span className={styles.now}>{text}</span>
    </span>
  );
}
