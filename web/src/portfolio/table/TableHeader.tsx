import { COLUMN_NAMES } from "../../strings/table";
import type { Column, Sorting } from "./rows";
import styles from "./TableHeader.module.css";

/** In the order in which they are shown. A share sorts as its value does. */
export const COLUMNS: readonly { column: Column; isNumber: boolean }[] = [
  { column: "token", isNumber: false },
  { column: "chain", isNumber: false },
  { column: "amount", isNumber: true },
  { column: "price", isNumber: true },
  { column: "value", isNumber: true },
  { column: "share", isNumber: true },
  { column: "change", isNumber: true },
];

/** The heads of the columns; each sorts. */
export function TableHeader({ sorting, onSort }: { sorting: Sorting; onSort: (column: Column) => void }) {
  return (
    <>
      {COLUMNS.map(({ column, isNumber }) => {
        const isSorted = sorting.column === column;
        return (
          <div
            key={column}
            role="columnheader"
            aria-sort={isSorted ? (sorting.descending ? "descending" : "ascending") : "none"}
            className={isNumber ? styles.number : undefined}
          >
            <button type="button" className={styles.button} onClick={() => onSort(column)}>
              <span aria-hidden="true" className={styles.arrow}>
                {isSorted ? (sorting.descending ? "↓" : "↑") : ""}
              </span>
              {COLUMN_NAMES[column]}
            </button>
          </div>
        );
      })}
    </>
  );
}
