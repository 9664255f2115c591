/** How the total is made up: parts that sum to 100 %. */
import type { Portfolio, Position } from "../../api/schema";
import type { Chains } from "../../chains";
import { compare, parse, sign, sum } from "../../format/decimal";
import { safeText } from "../../format/text";

export type SplitBy = "token" | "chain";

export interface Part {
  key: string;
  label: string;
  valueUsd: string;
  /** In tenths of a percent; all parts together are 1,000. */
  tenths: number;
  chainId: number | null;
}

export interface Split {
  parts: Part[];
  /** The parts too small for a place of their own, the largest first. */
  other: Part[];
  otherTenths: number;
}

/** With at most `most` parts, and the others together. */
export function split({ positions }: Portfolio, by: SplitBy, chains: Chains, most = 6): Split {
  const parts = allParts(
    positions.filter(({ isCounted }) => isCounted),
    by,
    chains,
  );
  // One part alone in "other" is better shown by its name.
  const shown = parts.length <= most + 1 ? parts.length : most;
  const other = parts.slice(shown);
  return { parts: parts.slice(0, shown), other, otherTenths: other.reduce((all, { tenths }) => all + tenths, 0) };
}

function allParts(positions: Position[], by: SplitBy, chains: Chains): Part[] {
  const found = new Map<string, Omit<Part, "tenths" | "valueUsd"> & { values: string[] }>();
  for (const position of positions) {
    const part = by === "chain" ? chainPart(position, chains) : tokenPart(position);
    const known = found.get(part.key);
    if (known) known.values.push(position.valueUsd ?? "0");
    else found.set(part.key, { ...part, values: [position.valueUsd ?? "0"] });
  }
  const parts = [...found.values()]
    .map(({ values, ...part }) => ({ ...part, valueUsd: sum(values) }))
    .filter(({ valueUsd }) => sign(valueUsd) > 0);
  parts.sort((a, b) => compare(b.valueUsd, a.valueUsd) || (a.key < b.key ? -1 : 1));
  const shares = tenthsOf(parts.map(({ valueUsd }) => valueUsd));
  return parts.map((part, index) => ({ ...part, tenths: shares[index] ?? 0 }));
}

function chainPart({ chainId }: Position, chains: Chains) {
  return { key: String(chainId), label: chains.name(chainId), chainId };
}

/** A token is one on all chains where its symbol and name are the same; one without a symbol is its contract. */
function tokenPart({ symbol, name, tokenAddress, chainId }: Position) {
  const label = safeText(symbol, 16);
  const key = label === "" ? `${chainId}/${tokenAddress}` : `${symbol}/${name}`;
  return { key, label: label || "No name", chainId: null };
}

/** Shares in tenths of a percent by the largest remainder, so that they sum to 1,000 exactly. */
export function tenthsOf(values: readonly string[]): number[] {
  const exact = values.map(parse);
  const scale = exact.reduce((most, one) => Math.max(most, one.scale), 0);
  const units = exact.map((one) => one.units * 10n ** BigInt(scale - one.scale));
  const total = units.reduce((all, unit) => all + unit, 0n);
  if (total <= 0n) return values.map(() => 0);
  const shares = units.map((unit) => ({ tenths: Number((unit * 1000n) / total), remainder: (unit * 1000n) % total }));
  let left = 1000 - shares.reduce((given, { tenths }) => given + tenths, 0);
  const byRemainder = shares
    .map((_, index) => index)
    .sort((a, b) => {
      const [first, second] = [shares[a]?.remainder ?? 0n, shares[b]?.remainder ?? 0n];
      return first > second ? -1 : first < second ? 1 : a - b;
    });
  for (const index of byRemainder) {
    const share = shares[index];
    if (left === 0 || !share) break;
    share.tenths += 1;
    left -= 1;
  }
  return shares.map(({ tenths }) => tenths);
}

/** "4.2%"; "<0.1%" of what is there but rounds to nothing. */
export function tenthsText(tenths: number): string {
  return tenths === 0 ? "<0.1%" : `${Math.floor(tenths / 10)}.${tenths % 10}%`;
}
