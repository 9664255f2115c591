import { expect, test } from "vitest";
import { explanation } from "../../../fixtures/explanation";
import {
  DOUBTED,
  FLAGGED,
  LOW_LIQUIDITY,
  MAIN_WALLET,
  PRICED,
  SECOND_WALLET,
  UNPRICED,
} from "../../../fixtures/positions";
import { portfolio } from "../../../fixtures/replies";
import type { Position, TokenEvidence } from "../../api/schema";
import { listingText } from "../../strings/position";
import { balanceText, depthText, evidenceOf, evidencePath, said } from "./evidence";

const ALL = [...PRICED, ...UNPRICED, ...FLAGGED, ...LOW_LIQUIDITY, ...DOUBTED];
const EXPLAINED = explanation(portfolio(ALL));
const held = (symbol: string, chainId?: number): Position => {
  const found = ALL.find((one) => one.symbol === symbol && (chainId === undefined || one.chainId === chainId));
  if (!found) throw new Error(`There is no ${symbol}.`);
  return found;
};
const token = (symbol: string): TokenEvidence => {
  const evidence = evidenceOf(EXPLAINED, held(symbol));
  if (!evidence) throw new Error(`Nothing is known of ${symbol}.`);
  return evidence.token;
};

test("one position is asked for by wallet, chain and token", () => {
  expect(evidencePath(held("USDC"))).toBe(
    `/portfolio/explain?walletAddress=${MAIN_WALLET}&chainId=8453&tokenAddress=0x833589fcd6edb6e08f4c7c32d4f71b54bda02913`,
  );
});

test("the evidence is of this wallet, chain and token, or of none", () => {
  expect(evidenceOf(EXPLAINED, held("ETH", 42161))?.position.walletAddress).toBe(SECOND_WALLET);
  expect(evidenceOf(EXPLAINED, { ...held("ETH", 42161), walletAddress: MAIN_WALLET })).toBeNull();
  expect(evidenceOf(EXPLAINED, { ...held("ETH", 42161), chainId: 137 })).toBeNull();
});

test("the price that is used comes first with its rule, who has none comes last", () => {
  const evidence = token("VELO");
  const turned = { ...evidence, quotes: evidence.quotes.toReversed() };
  expect(said(turned).map(({ source, isUsed, words }) => [source, isUsed, words])).toEqual([
    ["DexScreener", true, "Used: another source agrees"],
    ["DefiLlama", false, "Agrees"],
    ["CoinGecko", false, "Has no price"],
    ["Alchemy", false, "Has no price"],
  ]);
});

test("a price is as old as its source says, and says when it was asked", () => {
  const [relic] = said(token("RELIC"));
  expect(relic?.at).toBe("2024-09-29T12:04:40Z");
  expect(relic?.askedAt).toBe("2025-11-03T12:02:40Z");
  const [quote] = token("RELIC").quotes;
  expect(quote && said({ ...token("RELIC"), quotes: [{ ...quote, priceAt: null }] })[0]?.at).toBe(quote?.readAt);
});

test("a source whose last price is kept and that has had none since is shown with both", () => {
  const evidence = token("VELO");
  const twice = { ...evidence, answeredNothing: [{ source: "defillama", at: "2025-11-03T12:04:00Z" }] };
  const words = said(twice).filter(({ source }) => source === "DefiLlama");
  expect(words.map((one) => one.words)).toEqual(["Agrees", "Has none since"]);
});

test("what is known of lists, pools and the amount is said, and what is not known is not made up", () => {
  expect(listingText(["coingecko", "superchain"])).toBe("CoinGecko and Superchain name this contract");
  expect(listingText(["coingecko"])).toBe("CoinGecko names this contract");
  expect(listingText([])).toBe("No list of tokens that we read names it");
  expect(depthText(token("ORBX"))).toBe("Only $212.40 of well-known tokens");
  expect(depthText(token("VELO"))).toBe("$48,210.77 of well-known tokens");
  expect(depthText({ ...token("VELO"), depth: { state: "unknown", usd: null, at: "" } })).toContain("not known");
  expect(depthText(token("USDC"))).toBeNull();
  const position = evidenceOf(EXPLAINED, held("ETH"))?.position;
  expect(position && balanceText(position)).toBe("Alchemy, block 23,714,002");
  expect(position && balanceText({ ...position, block: null })).toBe("Alchemy");
  expect(position && balanceText({ ...position, block: null, balanceSource: null })).toBeNull();
});
