import { type ReactNode, useId } from "react";
import type { ChainName } from "../../api/schema";
import { shortAddress } from "../../format/text";
import { becauseOption, notCountedOption, sortedBy, TOOLBAR, WHY_NOT } from "../../strings/table";
import { VisuallyHidden } from "../../ui/VisuallyHidden";
import { ExportButton } from "./ExportButton";
import type { Column, Counted, Filter, Sorting } from "./rows";
import { COLUMNS } from "./TableHeader";
import styles from "./Toolbar.module.css";

interface Props {
  filter: Filter;
  onFilter: (filter: Filter) => void;
  sorting: Sorting;
  onSort: (column: Column) => void;
  chains: readonly ChainName[];
  wallets: readonly string[];
  /** Why positions are not in the total, and how many each reason keeps out. */
  reasons: readonly [reason: string, count: number][];
  /** How many are shown, as a sentence. */
  shown: string;
}

/** What the table below is narrowed to. */
export function Toolbar({ filter, onFilter, sorting, onSort, chains, wallets, reasons, shown }: Props) {
  const change = (changes: Partial<Filter>) => onFilter({ ...filter, ...changes });
  return (
    <div className={styles.bar}>
      <label className={styles.search}>
        <VisuallyHidden>{TOOLBAR.searchLabel}</VisuallyHidden>
        <input
          type="search"
          className={styles.field}
          placeholder={TOOLBAR.search}
          autoComplete="off"
          spellCheck={false}
          value={filter.text}
          onChange={(event) => change({ text: event.target.value })}
        />
      </label>
      <Select
        label={TOOLBAR.chain}
        value={filter.chainId === null ? "" : String(filter.chainId)}
        onChange={(value) => change({ chainId: value === "" ? null : Number(value) })}
      >
        <option value="">{TOOLBAR.allChains}</option>
        {chains.map(({ chainId, name }) => (
          <option key={chainId} value={chainId}>
            {name}
          </option>
        ))}
      </Select>
      {wallets.length > 1 && (
        <Select
          label={TOOLBAR.wallet}
          value={filter.wallet ?? ""}
          onChange={(value) => change({ wallet: value === "" ? null : value })}
        >
          <option value="">{TOOLBAR.allWallets}</option>
          {wallets.map((wallet) => (
            <option key={wallet} value={wallet}>
              {shortAddress(wallet)}
            </option>
          ))}
        </Select>
      )}
      {reasons.length > 0 && (
        <Select
          className={styles.narrow}
          label={TOOLBAR.counted}
          value={countedText(filter.counted)}
          onChange={(value) => change({ counted: countedOf(value) })}
        >
          <option value="all">{TOOLBAR.allCounted}</option>
          <option value="counted">{TOOLBAR.onlyCounted}</option>
          <option value="uncounted">{notCountedOption(reasons.reduce((sum, [, count]) => sum + count, 0))}</option>
          <optgroup label={WHY_NOT}>
            {reasons.map(([reason, count]) => (
              <option key={reason} value={REASON + reason}>
                {becauseOption(reason, count)}
              </option>
            ))}
          </optgroup>
        </Select>
      )}
      <Select
        className={styles.sort}
        label={TOOLBAR.sortBy}
        value={sorting.column}
        onChange={(value) => onSort(value as Column)}
      >
        {COLUMNS.map(({ column }) => (
          <option key={column} value={column}>
            {sortedBy(column)}
          </option>
        ))}
      </Select>
      <label className={styles.check}>
        <input
          type="checkbox"
          checked={filter.hideSmall}
          onChange={(event) => change({ hideSmall: event.target.checked })}
        />
        {TOOLBAR.hideSmall}
      </label>
      <span className={styles.end}>
        <span role="status" className={styles.shown}>
          {shown}
        </span>
        <ExportButton />
      </span>
    </div>
  );
}

const REASON = "reason:";

function countedText(counted: Counted): string {
  return typeof counted === "object" ? REASON + counted.reason : counted;
}

function countedOf(value: string): Counted {
  return value.startsWith(REASON) ? { reason: value.slice(REASON.length) } : (value as Counted);
}

function Select(props: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  className?: string;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <span className={props.className}>
      <VisuallyHidden>
        <label htmlFor={id}>{props.label}</label>
      </VisuallyHidden>
      <select
        id={id}
        className={styles.field}
        value={props.value}
        onChange={(event) => props.onChange(event.target.value)}
      >
        {props.children}
      </select>
    </span>
  );
}
