export interface ChainInfo {
  id: number;
  name: string;
  /** Two letters for where the name does not fit. */
  mark: string;
  /** Of its bar and its mark; white text on it is readable. */
  colour: string;
}

/** The chains that are read, in the order in which they are shown. */
export const CHAINS: readonly ChainInfo[] = [
  { id: 1, name: "Ethereum", mark: "ET", colour: "#4f5fb8" },
  { id: 137, name: "Polygon", mark: "PO", colour: "#7b3fe4" },
  { id: 10, name: "Optimism", mark: "OP", colour: "#c8102e" },
  { id: 42161, name: "Arbitrum", mark: "AR", colour: "#1b6ea8" },
  { id: 8453, name: "Base", mark: "BA", colour: "#0047d6" },
];

export function chainName(id: number): string {
  return CHAINS.find((chain) => chain.id === id)?.name ?? `Chain ${id}`;
}
