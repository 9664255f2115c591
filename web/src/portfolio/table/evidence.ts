/** What sources said of a token, as lines in the order in which they matter. Pure. */

import type { Explanation, Position, PositionEvidence, TokenEvidence } from "../../api/schema";
import type { Decimal, Time } from "../../api/types";
import { percentOf, subtract } from "../../format/decimal";
import { safeText } from "../../format/text";
import { blockText, EVIDENCE, poolsText } from "../../strings/position";
import { sourceName, useOfQuote } from "../../strings/tokenLabels";

/** The route that has the evidence of one position. */
export function evidencePath({ walletAddress, chainId, tokenAddress }: Position): string {
  const one = new URLSearchParams({ walletAddress, chainId: String(chainId), tokenAddress });
  return `/portfolio/explain?${one}`;
}

export interface Evidence {
  token: TokenEvidence;
  position: PositionEvidence;
}

/** Of one position; null where none was kept. */
export function evidenceOf({ tokens, positions }: Explanation, held: Position): Evidence | null {
  const isOfToken = (one: { chainId: number; tokenAddress: string }) =>
    one.chainId === held.chainId && one.tokenAddress === held.tokenAddress;
  const token = tokens.find(isOfToken);
  const position = positions.find((one) => isOfToken(one) && one.walletAddress === held.walletAddress);
  return token && position ? { token, position } : null;
}

export interface Said {
  source: string;
  /** Null of one that has no price. */
  priceUsd: Decimal | null;
  /** Of the price by the source's own account, or else when it was asked. */
  at: Time;
  askedAt: Time;
  isUsed: boolean;
  /** From the price that is used, in percent; null where there is nothing to compare. */
  apart: Decimal | null;
  words: string;
}

/** The price that is used, then the others, then who has none. */
export function said({ quotes, price, answeredNothing }: TokenEvidence): Said[] {
  const prices = quotes.map(({ source, priceUsd, priceAt, readAt, use, why }) => ({
    source: sourceName(source),
    priceUsd,
    at: priceAt ?? readAt,
    askedAt: readAt,
    isUsed: use === "chosen",
    apart: use === "chosen" || !price ? null : percentOf(subtract(priceUsd, price.usd), price.usd, 4),
    words: useOfQuote(use, price?.rule ?? null, why),
  }));
  const withPrice = new Set(quotes.map(({ source }) => source));
  const without = answeredNothing.map(({ source, at }) => ({
    source: sourceName(source),
    priceUsd: null,
    at,
    askedAt: at,
    isUsed: false,
    apart: null,
    words: withPrice.has(source) ? EVIDENCE.noPriceSince : EVIDENCE.noPrice,
  }));
  return [...prices.filter(({ isUsed }) => isUsed), ...prices.filter(({ isUsed }) => !isUsed), ...without];
}

/** What its pools hold; null where none were seen. */
export function depthText({ depth }: TokenEvidence): string | null {
  return depth && poolsText(depth.state, depth.usd);
}

/** "Alchemy, block 23,714,002"; null where that is not known. */
export function balanceText({ balanceSource, block }: PositionEvidence): string | null {
  if (balanceSource === null && block === null) return null;
  const source = safeText(sourceName(balanceSource));
  return [source, block === null ? "" : blockText(block)].filter(Boolean).join(", ");
}
