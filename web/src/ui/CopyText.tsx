import { type ReactNode, useEffect, useState } from "react";
import styles from "./CopyText.module.css";
import { VisuallyHidden } from "./VisuallyHidden";

interface Props {
  /** What is copied, whole. */
  text: string;
  /** What it is: "address". */
  what: string;
  children: ReactNode;
}

/** Shows something short and copies the whole of it. */
export function CopyText({ text, what, children }: Props) {
  const [said, setSaid] = useState<"" | "Copied" | "Not copied: the browser refused">("");

  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), 2000);
    return () => clearTimeout(timer);
  }, [said]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("Not copied: the browser refused");
    }
  };

  return (
    <button type="button" className={styles.copy} title={text} onClick={copy}>
      {children}
      <VisuallyHidden>, copy the whole {what}</VisuallyHidden>
      <span role="status" className={styles.said}>
        {said}
      </span>
    </button>
  );
}
