import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import styles from "./Why.module.css";

interface Props {
  /** The part of the sentence that opens. */
  label: ReactNode;
  title: string;
  tone?: "quiet" | "warn";
  onOpen?: (isOpen: boolean) => void;
  children: ReactNode;
}

/** A part of a sentence that says why, over what is below it, so that nothing moves. */
export function Why({ label, title, tone = "quiet", onOpen, children }: Props) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panel = useId();

  const change = (open: boolean) => {
    setOpen(open);
    onOpen?.(open);
  };
  useEffect(() => {
    if (!isOpen) return;
    const away = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) change(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      change(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("focusin", away);
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("focusin", away);
      document.removeEventListener("keydown", onKey);
    };
  });

  return (
    <div ref={root}>
      <button
        ref={button}
        type="button"
        className={`${styles.label} ${styles[tone]}`}
        aria-expanded={isOpen}
        aria-controls={isOpen ? panel : undefined}
        onClick={() => change(!isOpen)}
      >
        {label}
      </button>
      {isOpen && (
        // A scrolling region is reached by the keyboard.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        <section id={panel} aria-label={title} tabIndex={0} className={styles.panel}>
          <p className={styles.title}>{title}</p>
          {children}
        </section>
      )}
    </div>
  );
}
