import { type ReactNode, useEffect, useState } from "react";
import { COPIED, copyWhole, NOT_COPIED } from "../strings/common";
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
  const [said, setSaid] = useState("");

  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(""), 2000);
    return () => clearTimeout(timer);
  }, [said]);

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid(COPIED);
    } catch {
      setSaid(NOT_COPIED);
    }
  };

  return (
    <button type="button" className={styles.copy} title={text} onClick={copy}>
      {children}
      <VisuallyHidden>{copyWhole(what)}</VisuallyHidden>
      <span role="status" className={styles.said}>
        {said}
      </span>
    </button>
  );
}
