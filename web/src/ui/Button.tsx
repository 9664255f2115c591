import { type ButtonHTMLAttributes, type ReactNode, useId } from "react";
import styles from "./Button.module.css";

interface Props extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled"> {
  kind?: "primary" | "plain" | "quiet" | "danger";
  /** Why it can't be pressed now. It stays reachable, so that a screen reader finds the reason. */
  unavailable?: string | null;
  children: ReactNode;
}

export function Button({ kind = "plain", unavailable, children, onClick, className, ...rest }: Props) {
  const reason = useId();
  return (
    <>
      <button
        type="button"
        {...rest}
        className={[styles.button, styles[kind], className].filter(Boolean).join(" ")}
        aria-disabled={unavailable ? true : undefined}
        aria-describedby={unavailable ? reason : rest["aria-describedby"]}
        onClick={(event) => (unavailable ? event.preventDefault() : onClick?.(event))}
      >
        {children}
      </button>
      {unavailable && (
        <span id={reason} hidden>
          {unavailable}
        </span>
      )}
    </>
  );
}
