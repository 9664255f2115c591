import type { ReactNode } from "react";
import styles from "./Notice.module.css";

/** In place of the portfolio: what is so, and what to do next. */
export function Notice({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <section className={styles.notice}>
      <h1 className={styles.title}>{title}</h1>
      <p className={styles.text}>{children}</p>
      {action}
    </section>
  );
}

/** Over the foot of the page, so that it moves nothing: why what is shown may not be so now. */
export function Strip({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className={styles.strip} role="status">
      <p>{children}</p>
      {action}
    </div>
  );
}
