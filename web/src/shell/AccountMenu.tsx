import { useId } from "react";
import { forgetSession } from "../api/session";
import { safeText } from "../format/text";
import { forgetKept } from "../state/cache";
import { useStore } from "../state/hooks";
import { accountOf, MENU } from "../strings/app";
import { usePopover } from "../ui/usePopover";
import styles from "./AccountMenu.module.css";

export type Place = "wallets" | "history";

/** The user's own things. */
export function AccountMenu({ onOpen }: { onOpen: (place: Place) => void }) {
  const { session } = useStore();
  const { isOpen, change, root, button } = usePopover();
  const list = useId();

  const open = (place: Place) => {
    change(false);
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
        aria-label={accountOf(name)}
        onClick={() => change(!isOpen)}
      >
        <span className={styles.name}>{name}</span>
        <span className={styles.chevron} aria-hidden="true" />
      </button>
      {isOpen && (
        <ul id={list} className={styles.list}>
          <li>
            <button type="button" className={styles.item} onClick={() => open("wallets")}>
              {MENU.wallets}
            </button>
          </li>
          <li>
            <button type="button" className={styles.item} onClick={() => open("history")}>
              {MENU.history}
            </button>
          </li>
          {session.isAdmin && (
            <li>
              <a href="/admin" className={styles.item}>
                {MENU.admin}
              </a>
            </li>
          )}
          <li className={styles.last}>
            <button type="button" className={styles.item} onClick={leave}>
              {MENU.signOut}
            </button>
          </li>
        </ul>
      )}
    </div>
  );
}
