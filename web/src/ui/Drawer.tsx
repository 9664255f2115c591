import { type ReactNode, useEffect, useId, useRef } from "react";
import { CLOSE } from "../strings/common";
import { Button } from "./Button";
import styles from "./Drawer.module.css";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  /** Beside the title. */
  actions?: ReactNode;
  children: ReactNode;
}

/** A modal drawer at the right. The browser keeps the focus in it, closes it by Esc and gives the focus back. */
export function Drawer({ open, onClose, title, actions, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();

  useEffect(() => {
    const element = dialog.current;
    if (open && element && !element.open) element.showModal();
    if (!open && element?.open) element.close();
  }, [open]);

  return (
    <dialog
      ref={dialog}
      className={styles.drawer}
      aria-labelledby={heading}
      onClose={onClose}
      // What the dialog holds fills it, so a press on the dialog itself is one beside it.
      onPointerDown={(event) => event.target === event.currentTarget && dialog.current?.close()}
    >
      {open && (
        <div className={styles.panel}>
          <header className={styles.head}>
            <h2 id={heading} className={styles.title}>
              {title}
            </h2>
            {actions}
            <Button kind="quiet" aria-label={CLOSE} onClick={() => dialog.current?.close()}>
              <span aria-hidden>✕</span>
            </Button>
          </header>
          <div className={styles.body}>{children}</div>
        </div>
      )}
    </dialog>
  );
}
