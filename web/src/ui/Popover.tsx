import { type ReactNode, useId } from "react";
import styles from "./Popover.module.css";
import { usePopover } from "./usePopover";

interface Props {
  /** The part of the sentence that opens. */
  label: ReactNode;
  title: string;
  tone?: "quiet" | "warn";
  onOpen?: (isOpen: boolean) => void;
  children: ReactNode;
}

/** A part of a sentence that says why, over what is below it, so that nothing moves. */
export function Popover({ label, title, tone = "quiet", onOpen, children }: Props) {
  const { isOpen, change, root, button } = usePopover(onOpen);
  const panel = useId();

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
