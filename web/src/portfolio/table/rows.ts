/** What the table shows: groups of positions, filtered and sorted. Pure. */
import type { Position } from "../../api/schema";
import type { Chains } from "../../chains";
import { compare, sum } from "../../format/decimal";
import { positionKey } from "../../state/sharing";

export type Group = "counted" | "lowLiquidity" | "unsure" | "unread" | "hidden";
export type Column = "token" | "chain" | "amount" | "price" | "value" | "share" | "change";

export interface Sorting {
  column: Column;
  descending: boolean;
}

export interface Filter {
  text: string;
  chainId: number | null;
  wallet: string | null;
  /** Only what is in the total, only what is not, or only what one reason keeps out of it. */
  counted: Counted;
  /** Leaves counted positions of less than a dollar out. */
  hideSmall: boolean;
}

export type Counted = "all" | "counted" | "uncounted" | { reason: string };

export const NO_FILTER: Filter = { text: "", chainId: null, wallet: null, counted: "all", hideSmall: false };
export const SMALL_USD = "1";

/** Text columns begin with A, numbers with the largest. */
export function nextSorting(current: Sorting, column: Column): Sorting {
  if (current.column === column) return { column, descending: !current.descending };
  return { column, descending: column !== "token" && column !== "chain" };
}

export interface Grouped {
  group: Group;
  /** All of the group, before the filter. */
  count: number;
  /** Of all of the group; null of groups that do not count. */
  valueUsd: string | null;
  positions: Position[];
}

export function grouped(positions: readonly Position[], filter: Filter, sorting: Sorting, chains: Chains): Grouped[] {
  const groups: Record<Group, Position[]> = { counted: [], lowLiquidity: [], unsure: [], unread: [], hidden: [] };
  for (const position of positions) groups[groupOf(position)].push(position);
  const order = comparison(sorting, chains);
  const asked = (Object.keys(groups) as Group[]).filter((group) => isGroupAsked(group, groups[group], filter.counted));
  return asked.map((group) => ({
    group,
    count: groups[group].length,
    valueUsd: group === "counted" ? sum(groups.counted.map(({ valueUsd }) => valueUsd ?? "0")) : null,
    positions: groups[group].filter((position) => passes(position, filter)).sort(order),
  }));
}

export function groupOf(position: Position): Group {
  if (position.isSpam) return "hidden";
  if (position.isCounted) return "counted";
  return position.notCountedReason === "low_liquidity" ? "lowLiquidity" : "unsure";
}

/** How many positions each reason keeps out of the total, the most frequent first; spam is not among them. */
export function uncountedReasons(positions: readonly Position[]): [reason: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { isSpam, notCountedReason: reason } of positions)
    if (!isSpam && reason !== null) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function passes(position: Position, { text, chainId, wallet, counted, hideSmall }: Filter): boolean {
  if (!isAsked(position, counted)) return false;
  if (chainId !== null && position.chainId !== chainId) return false;
  if (wallet !== null && position.walletAddress !== wallet) return false;
  if (hideSmall && position.isCounted && compare(position.valueUsd ?? "0", SMALL_USD) < 0) return false;
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return true;
  const { symbol, name, tokenAddress } = position;
  return [symbol, name, tokenAddress].some((field) => field?.toLowerCase().includes(wanted));
}

/** What is hidden or could not be read is not counted either, and no reason is among those to choose from. */
function isGroupAsked(group: Group, positions: readonly Position[], counted: Counted): boolean {
  if (counted === "all") return true;
  if (typeof counted === "object") return group !== "hidden" && positions.some((one) => isAsked(one, counted));
  return (group === "counted") === (counted === "counted");
}

function isAsked({ isCounted, notCountedReason }: Position, counted: Counted): boolean {
  if (counted === "all") return true;
  if (typeof counted === "object") return notCountedReason === counted.reason;
  return isCounted === (counted === "counted");
}

const LABELS = new Intl.Collator("en", { sensitivity: "base", numeric: true });

function comparison({ column, descending }: Sorting, chains: Chains): (a: Position, b: Position) => number {
  const direction = descending ? -1 : 1;
  const byKey = (a: Position, b: Position) => (positionKey(a) < positionKey(b) ? -1 : 1);
  const byValue = (a: Position, b: Position) => numbers(a.valueUsd, b.valueUsd, -1);
  return (a, b) => {
    switch (column) {
      case "token":
        return direction * LABELS.compare(a.symbol ?? "", b.symbol ?? "") || byValue(a, b) || byKey(a, b);
      case "chain":
        return direction * (chains.place(a.chainId) - chains.place(b.chainId)) || byValue(a, b) || byKey(a, b);
      case "amount":
        return numbers(a.amount, b.amount, direction) || byKey(a, b);
      case "price":
        return numbers(a.priceUsd, b.priceUsd, direction) || byKey(a, b);
      case "change":
        return numbers(a.change24h, b.change24h, direction) || byValue(a, b) || byKey(a, b);
      case "value":
      case "share":
        return numbers(a.valueUsd, b.valueUsd, direction) || byKey(a, b);
    }
  };
}

/** What is unknown comes last, whichever the direction. */
function numbers(a: string | null, b: string | null, direction: 1 | -1): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return direction * compare(a, b);
}
