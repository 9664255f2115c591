/** `GET /portfolio/explain`: the evidence that is kept of each token and position. */
import type { Decimal, Time } from "./types";

export interface Explanation {
  userId: string;
  syncOperationId: string;
  /** When it was valued. */
  at: Time;
  version: number;
  totalValueUsd: Decimal;
  tokens: TokenEvidence[];
  positions: PositionEvidence[];
}

export interface TokenEvidence {
  chainId: number;
  tokenAddress: string;
  /** Hostile text. */
  symbol: string | null;
  /** The price that is used, and by which rule. */
  price: { usd: Decimal; source: string; at: Time; rule: string } | null;
  quotes: Quote[];
  /** Who was asked and has no price. */
  answeredNothing: { source: string; at: Time }[];
  notAsked: string[];
  /** What its pools hold of trusted tokens. */
  depth: { state: string; usd: Decimal | null; at: Time } | null;
  listing: { coingeckoId: string | null; lists: string[] } | null;
  suspicions: string[];
  flags: string[];
}

/** What one source says of a price. */
export interface Quote {
  source: string;
  priceUsd: Decimal;
  /** The time of the price by the source's own account. */
  priceAt: Time | null;
  readAt: Time;
  /** What became of it, as a code; `chosen` is the one that is used. */
  use: string;
  /** The same for people. */
  why: string;
}

export interface PositionEvidence {
  walletAddress: string;
  chainId: number;
  tokenAddress: string;
  balance: string;
  /** Null, like its time, where an earlier sync read it. */
  balanceSource: string | null;
  block: number | null;
  balanceAt: Time | null;
  amount: Decimal | null;
  valueUsd: Decimal | null;
  isSpam: boolean;
  spamReasons: string[];
  isCounted: boolean;
  notCountedReason: string | null;
  flags: string[];
}
