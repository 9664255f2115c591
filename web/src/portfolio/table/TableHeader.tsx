import type { Column, Sorting } from "./rows";
import styles from "./TableHeader.module.css";

/** In the order in which they are shown. A share sorts as its value does. */
export const COLUMNS: readonly { column: Column; label: string; isNumber: boolean }[] = [
  { column: "token", label: "Token", isNumber: false },
  { column: "chain", label: "Chain", isNumber: false },
  { column: "amount", label: "Amount", isNumber: true },
  { column: "price", label: "Price", isNumber: true },
  { column: "value", label: "Value", isNumber: true },
  { column: "share", label: "Share", isNumber: true },
  { column: "change", label: "24 h", isNumber: true },
];

/** The heads of the columns; each sorts. */
export function TableHeader({ sorting, onSort }: { sorting: Sorting; onSort: (column: Column) => void }) {
  return (
    <>
      {COLUMNS.map(({ column, label, isNumber }) => {
        const isSorted = sorting.column === column;
        return (
          <div
            key={label}
            role="columnheader"
            aria-sort={isSorted ? (sorting.descending ? "descending" : "ascending") : "none"}
            className={isNumber ? styles.number : undefined}
          >
            <button type="button" className={styles.button} onClick={() => onSort(column)}>
              <span aria-hidden="true" className={styles.arrow}>
                {isSorted ? (sorting.descending ? "↓" : "↑") : ""}
              </span>
              {label}
            </button>
          </div>
        );
      })}
    </>
  );
}
