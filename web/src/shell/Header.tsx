import { useState } from "react";
import { useLive, useStore } from "../state/hooks";
import { BRAND, CONNECTIONS, signedInAs, themeSwitch } from "../strings/app";
import { chooseTheme, currentTheme } from "../theme/theme";
import { AccountMenu, type Place } from "./AccountMenu";
import styles from "./Header.module.css";

/** Above everything: whose page it is, whether it is live, and where else one can go. */
export function Header({ onOpen }: { onOpen?: (place: Place) => void }) {
  return (
    <header className={styles.header}>
      <a href="/" className={styles.brand}>
        <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M26 20A12 12 0 1 1 14 4a10 10 0 0 0 12 16z" fill="currentColor" />
        </svg>
        {BRAND}
      </a>
      {onOpen && <LiveState />}
      <span className={styles.end}>
        <ThemeSwitch />
        {onOpen && <AccountMenu onOpen={onOpen} />}
      </span>
    </header>
  );
}

function LiveState() {
  const { connection } = useLive();
  const { session } = useStore();
  return (
    <span className={styles.state} role="status" title={signedInAs(session.userId)}>
      <span className={`${styles.dot} ${styles[connection]}`} aria-hidden="true" />
      {CONNECTIONS[connection]}
    </span>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useState(currentTheme);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      className={styles.icon}
      aria-label={themeSwitch(other)}
      title={themeSwitch(other)}
      onClick={() => {
        chooseTheme(other);
        setTheme(other);
      }}
    >
      <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true">
        <circle cx="9" cy="9" r="6.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
        <path d="M9 2.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
      </svg>
    </button>
  );
}
