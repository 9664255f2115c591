/** How chains look on the page. Which chains there are, and what they are called, the API says. */
import type { ChainName } from "./api/schema";

/** Of a chain's bar and mark; white text on each is readable. */
const COLOURS: Record<number, string> = {
  1: "#4f5fb8",
  10: "#c8102e",
  56: "#8a6500",
  130: "#b0157a",
  137: "#7b3fe4",
  8453: "#0047d6",
  42161: "#1b6ea8",
  43114: "#b3362d",
  59144: "#3f6472",
};

/** A chain without an entry has a colour that follows from its id, so that two of them differ. */
export function chainColour(chainId: number): string {
  return COLOURS[chainId] ?? `hsl(${(chainId * 137) % 360} 45% 30%)`;
}

/** One or two letters for where the name does not fit. */
export function chainMark(name: string, letters: 1 | 2 = 2): string {
  return [...name].slice(0, letters).join("").toUpperCase();
}

/** The chains that the API has named. */
export class Chains {
  /** In the order in which they are shown: those that a sync reads, then those that were read earlier. */
  readonly all: readonly ChainName[];
  private readonly names: ReadonlyMap<number, string>;
  private readonly places: ReadonlyMap<number, number>;

  /** @param lists What each answer of the API has named; the first that names a chain decides its place. */
  constructor(...lists: (readonly ChainName[])[]) {
    this.names = new Map(lists.flat().map(({ chainId, name }) => [chainId, name]));
    this.places = new Map([...this.names.keys()].map((chainId, place) => [chainId, place]));
    this.all = [...this.names].map(([chainId, name]) => ({ chainId, name }));
  }

  name(chainId: number): string {
    return this.names.get(chainId) ?? `Chain ${chainId}`;
  }

  /** The place of a chain among all; those without a name come last. */
  place(chainId: number): number {
    return this.places.get(chainId) ?? this.names.size;
  }
}
