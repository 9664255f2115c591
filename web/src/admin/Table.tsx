import { type ReactNode, useId } from "react";
import styles from "./Table.module.css";

interface Props {
  title: string;
  /** Said in place of a table without rows. */
  none: string;
  columns: { name: string; kind?: "number" | "prose" }[];
  rows: { key: string; cells: ReactNode[] }[];
  aside?: ReactNode;
}

/** A section that is one table; it scrolls by itself where it is too wide. */
export function Table({ title, none, columns, rows, aside }: Props) {
  const heading = useId();
  return (
    <div className={styles.section}>
      <div className={styles.head}>
        <h2 id={heading}>{title}</h2>
        {aside}
      </div>
      {rows.length === 0 ? (
        <p className={styles.none}>{none}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by the keys.
        <section className={styles.scroll} tabIndex={0} aria-labelledby={heading}>
          <table className={styles.table}>
            <thead>
              <tr>
                {columns.map(({ name, kind }) => (
                  <th key={name} scope="col" className={cellClass(kind)}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, cells }) => (
                <tr key={key}>
                  {cells.map((cell, index) => (
                    <td key={columns[index]?.name} className={cellClass(columns[index]?.kind)}>
                      {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}

function cellClass(kind: "number" | "prose" | undefined): string | undefined {
  return kind && styles[kind];
}
