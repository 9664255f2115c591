import { useEffect, useId, useRef, useState } from "react";
import { forgetSession } from "../api/session";
import { safeText } from "../format/text";
import { forgetKept } from "../state/cache";
import { useStore } from "../state/hooks";
import styles from "./AccountMenu.module.css";

export type Place = "wallets" | "history";

/** The user's own things. */
export function AccountMenu({ onOpen }: { onOpen: (place: Place) => void }) {
  const { session } = useStore();
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const list = useId();

  useEffect(() => {
    if (!isOpen) return;
    const away = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
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
  }, [isOpen]);

  const open = (place: Place) => {
    setOpen(false);
    // The drawer gives the focus back to where it was.
    button.current?.focus();
    onOpen(place);
  };
  const leave = () => {
    forgetSession();
    forgetKept();
    location.assign("/");
  };
  const name = safeText(session.userId, 24);
  return (
    <div ref={root} className={styles.menu}>
      <button
        ref={button}
        type="button"
        className={styles.button}
        aria-expanded={isOpen}
        aria-controls={isOpen ? list : undefined}
        aria-label={`Account of ${name}`}
        onClick={() => setOpen(!isOpen)}
      >
        <span className={styles.name}>{name}</span>
        <span className={styles.chevron} aria-hidden="true" />
      </button>
      {isOpen && (
        <ul id={list} className={styles.list}>
          <li>
            <button type="button" className={styles.item} onClick={() => open("wallets")}>
              Wallets
            </button>
          </li>
          <li>
            <button type="button" className={styles.item} onClick={() => open("history")}>
              History of syncs
            </button>
          </li>
          {session.isAdmin && (
            <li>
              <a href="/admin" className={styles.item}>
                Admin
              </a>
            </li>
          )}
          <li className={styles.last}>
            <button type="button" className={styles.item} onClick={leave}>
              Sign out
            </button>
          </li>
        </ul>
      )}
    </div>
  );
}
