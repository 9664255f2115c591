import { defaultRangeExtractor, type Range, useWindowVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  type RefObject,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { Portfolio, Position } from "../../api/schema";
import type { Chains } from "../../chains";
import { percentOf } from "../../format/decimal";
import { percent } from "../../format/numbers";
import { moment } from "../../format/time";
import { useChains, useNow } from "../../state/hooks";
import { NEVER_READ, TABLE } from "../../strings/table";
import styles from "./Grid.module.css";
import { HEIGHTS, type Item, items, type View } from "./items";
import { Row } from "./Row";
import { RowDetail } from "./RowDetail";
import type { Column, Group, Grouped, Sorting } from "./rows";
import { COLUMNS, TableHeader } from "./TableHeader";

interface Props {
  portfolio: Portfolio;
  groups: readonly Grouped[];
  closed: ReadonlySet<Group>;
  onToggle: (group: Group) => void;
  hiddenState: View["hiddenState"];
  showWallet: boolean;
  sorting: Sorting;
  onSort: (column: Column) => void;
}

const HEAD_HEIGHT = 40;
/** What the arrow and page keys move by. */
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };

/** The table itself: only the lines in sight are in the document. */
export function Grid({ portfolio, groups, closed, onToggle, hiddenState, showWallet, sorting, onSort }: Props) {
  const [opened, setOpened] = useState<string | null>(null);
  const [active, setActive] = useState<string | null>(null);
  const chains = useChains();
  const body = useRef<HTMLDivElement>(null);
  const top = useTop(body);
  const { spam: hiddenCount, unread: unreadCount } = portfolio.omitted;
  const lines = useMemo(
    () => items(groups, { closed, opened, hiddenCount, unreadCount, hiddenState }),
    [groups, closed, opened, hiddenCount, unreadCount, hiddenState],
  );
  const found = lines.findIndex(({ key }) => key === active);
  const activeIndex = found === -1 ? 0 : found;
  const virtual = useWindowVirtualizer({
    count: lines.length,
    estimateSize: (index) => HEIGHTS[lines[index]?.kind ?? "position"],
    getItemKey: (index) => lines[index]?.key ?? index,
    overscan: 8,
    scrollMargin: top,
    scrollPaddingStart: HEAD_HEIGHT,
    // The line that has the focus stays in the document, wherever the page is scrolled to.
    rangeExtractor: useCallback((range: Range) => withIndex(defaultRangeExtractor(range), activeIndex), [activeIndex]),
  });
  const staleSince = useStaleSince(portfolio);

  const act = (item: Item) => {
    if (item.kind === "group") onToggle(item.group);
    if (item.kind === "position") setOpened(opened === item.key ? null : item.key);
  };
  const focus = useFocusAfterMove(body, active);
  const onKeyDown = (event: KeyboardEvent) => {
    const current = lines[activeIndex];
    const isOnLine = event.target instanceof HTMLElement && event.target.dataset.key !== undefined;
    if (!current || !isOnLine) return;
    const to = target(event.key, activeIndex, lines);
    if (to !== null) {
      virtual.scrollToIndex(to, { align: "auto" });
      focus();
      setActive(lines[to]?.key ?? null);
    } else if (event.key === "Enter" || event.key === " ") act(current);
    else if (event.key === "Escape" && opened) setOpened(null);
    else return;
    event.preventDefault();
  };

  return (
    <div role="treegrid" aria-label={TABLE} aria-rowcount={lines.length + 1} aria-colcount={COLUMNS.length}>
      <div role="rowgroup" className={styles.head}>
        <div role="row" aria-rowindex={1} className={styles.columns}>
          <TableHeader sorting={sorting} onSort={onSort} />
        </div>
      </div>
      <div
        role="rowgroup"
        ref={body}
        className={styles.body}
        style={{ height: virtual.getTotalSize() }}
        onKeyDown={onKeyDown}
      >
        {virtual.getVirtualItems().map(({ index, start, key }) => {
          const item = lines[index];
          if (!item) return null;
          const isReachable = item.kind === "group" || item.kind === "position";
          const isOpen = item.kind === "group" ? item.isOpen : item.key === opened;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the rowgroup hears the keys
            <div
              key={key}
              role="row"
              aria-rowindex={index + 2}
              aria-level={item.kind === "group" ? 1 : 2}
              aria-expanded={isReachable ? isOpen : undefined}
              data-key={isReachable ? item.key : undefined}
              data-index={index}
              ref={item.kind === "detail" || item.kind === "note" ? virtual.measureElement : undefined}
              tabIndex={isReachable ? (index === activeIndex ? 0 : -1) : undefined}
              className={`${styles.line} ${styles[item.kind]} ${item.kind === "position" ? styles.columns : ""}`}
              style={{ transform: `translateY(${start - virtual.options.scrollMargin}px)` }}
              onFocus={() => isReachable && setActive(item.key)}
              onClick={() => act(item)}
            >
              <Line item={item} portfolio={portfolio} chains={chains} showWallet={showWallet} staleSince={staleSince} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

interface LineProps {
  item: Item;
  portfolio: Portfolio;
  chains: Chains;
  showWallet: boolean;
  staleSince: ReadonlyMap<number, string>;
}

function Line({ item, portfolio, chains, showWallet, staleSince }: LineProps) {
  switch (item.kind) {
    case "position":
      return (
        <Row
          position={item.position}
          chainName={chains.name(item.position.chainId)}
          share={share(item.position, portfolio)}
          showWallet={showWallet}
          staleSince={item.position.stale ? (staleSince.get(item.position.chainId) ?? null) : null}
        />
      );
    case "group":
      return (
        <div role="gridcell" aria-colspan={COLUMNS.length} className={styles.groupCell}>
          <span aria-hidden="true" className={`${styles.chevron} ${item.isOpen ? styles.open : ""}`} />
          <b>{item.title}</b>
          <span className={styles.quiet}>{item.note}</span>
        </div>
      );
    case "detail":
      return (
        <div role="gridcell" aria-colspan={COLUMNS.length}>
          <RowDetail position={item.position} />
        </div>
      );
    case "note":
      return (
        <div role="gridcell" aria-colspan={COLUMNS.length} className={styles.quiet}>
          {item.text}
        </div>
      );
  }
}

function share({ isCounted, valueUsd }: Position, { totalValueUsd }: Portfolio): string | null {
  if (!isCounted || valueUsd === null) return null;
  const part = percentOf(valueUsd, totalValueUsd, 30);
  return part === null ? null : percent(part);
}

/** Where a key leads to from a line; null of keys that do not move. Details and notes are passed over. */
function target(key: string, from: number, lines: readonly Item[]): number | null {
  const isReachable = (index: number) => ["group", "position"].includes(lines[index]?.kind ?? "");
  if (key === "Home") return 0;
  const step = key === "End" ? lines.length : STEPS[key];
  if (step === undefined) return null;
  const to = Math.max(0, Math.min(lines.length - 1, from + step));
  const [forward, back] = step > 0 ? [1, -1] : [-1, 1];
  for (let index = to; index >= 0 && index < lines.length; index += forward) if (isReachable(index)) return index;
  for (let index = to; index >= 0 && index < lines.length; index += back) if (isReachable(index)) return index;
  return null;
}

function withIndex(indexes: number[], index: number): number[] {
  return indexes.includes(index) ? indexes : [...indexes, index].sort((a, b) => a - b);
}

/** When the chains that did not answer were read, as text. */
function useStaleSince({ chains }: Portfolio): ReadonlyMap<number, string> {
  const now = useNow(60_000);
  return useMemo(
    () => new Map(chains.map(({ chainId, syncedAt }) => [chainId, syncedAt ? moment(syncedAt, now) : NEVER_READ])),
    [chains, now],
  );
}

/** Gives the focus to the active line once a key has moved there. */
function useFocusAfterMove(body: RefObject<HTMLDivElement | null>, active: string | null): () => void {
  const isDue = useRef(false);
  useEffect(() => {
    if (!isDue.current || active === null) return;
    isDue.current = false;
    body.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(active)}"]`)?.focus({ preventScroll: true });
  }, [body, active]);
  return () => {
    isDue.current = true;
  };
}

/** How far below the page's top an element begins; what grows above it moves it. */
function useTop(element: RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => {
      const box = element.current?.getBoundingClientRect();
      if (box) setTop(Math.round(box.top + window.scrollY));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [element]);
  return top;
}
