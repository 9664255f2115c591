/** The server's codes in plain words. What a code does not tell, such as a bound that is a setting, they do not say. */
import { safeText } from "../format/text";

const SPAM: Record<string, string> = {
  link_in_name: "its name holds a link",
  lure_in_name: "its name asks you to claim or visit something",
  lookalike_symbol: "it poses as a well-known token",
  hidden_characters: "its name holds characters that do not show",
  no_metadata: "it has no name",
};

/** Why a position is not in the total: in short, and in a sentence without its full stop. */
const NOT_COUNTED: Record<string, { short: string; sentence: string }> = {
  spam: { short: "looks like spam", sentence: "It looks like spam" },
  unpriced: { short: "no price", sentence: "No source that we trust has a price" },
  suspected: {
    short: "suspicious name",
    sentence: "Its name is suspicious, and no source has said yet whether it can be sold",
  },
  low_liquidity: {
    short: "hard to sell",
    sentence: "So little is traded that selling it would hardly bring what its price says",
  },
  outdated_price: { short: "price too old", sentence: "Its price is of long ago: what it is worth today is not known" },
  sources_far_apart: {
    short: "sources contradict",
    sentence: "Two sources have very different prices, and no third one decides between them",
  },
  price_jump: {
    short: "price jumped",
    sentence: "The price moved a great deal within a day, and no second source confirms it",
  },
  exceeds_liquidity: {
    short: "more than its market",
    sentence: "All of it could not be sold for this: its market holds less than what it seems to be worth",
  },
  unconfirmed_price: {
    short: "unconfirmed",
    sentence: "Only one source has a price, and nobody knows how much could be sold at it",
  },
};

/** What else to know of a position. */
const NOTES: Record<string, string> = {
  sources_disagree: "Another source has a different price; the more trusted one is used",
  usdt_at_par: "Priced in USDT, counted as one dollar each",
  old_price: "The source did not answer since, so this is its last price",
  balance_unknown: "The chain did not say how much of it you hold now, so this is the last known amount",
};

/** Sources of prices and balances, and lists of tokens. */
const SOURCES: Record<string, string> = {
  binance: "Binance",
  coingecko: "CoinGecko",
  defillama: "DefiLlama",
  alchemy: "Alchemy",
  dexscreener: "DexScreener",
  redemption: "its vault",
  rpc: "a node of the chain",
  moonx: "our own list",
  aave: "Aave",
  superchain: "Superchain",
};

/** What became of a price that a source said. */
const USES: Record<string, string> = {
  chosen: "Used",
  agrees: "Agrees",
  differs: "Differs, and is trusted less",
  far_apart: "Very different",
  outdated: "Too old by the source’s own account",
  too_old: "Too long ago",
  unneeded: "Not used: another source has a price",
  refused: "Not used: too little is known to be traded at it",
};

/** By which rule the one that is used was chosen. */
const RULES: Record<string, string> = {
  listing: "Used: it lists this very token",
  redeemable: "Used: it can be redeemed for this",
  deep_pools: "Used: enough is traded at it",
  two_agree: "Used: another source agrees",
  single_source: "Used: no other source has one",
  outvoted: "Used: two sources agree against another",
  thin_pools: "Shown only: too little is traded at it",
  outdated: "Shown only: it is the last one known",
};

export function spamReason(code: string): string {
  return SPAM[code] ?? "it looks like spam";
}

/** Why a position is not in the total, in a few words. */
export function notCountedShort(code: string): string {
  return NOT_COUNTED[code]?.short ?? "uncertain price";
}

/** The same as a sentence without its full stop. */
export function notCountedReason(code: string): string {
  return NOT_COUNTED[code]?.sentence ?? "Its price is uncertain";
}

/** A flag as a sentence without its full stop. */
export function flagNote(code: string): string {
  return NOTES[code] ?? notCountedReason(code);
}

export function sourceName(source: string | null): string {
  return source === null ? "" : (SOURCES[source] ?? safeText(source));
}

/** What became of a price, and of the one that is used why; `why` is what is said where the code is a new one. */
export function useOfQuote(use: string, rule: string | null, why: string): string {
  const byRule = use === "chosen" && rule !== null ? RULES[rule] : undefined;
  return byRule ?? USES[use] ?? (safeText(why, 120) || "Not used");
}
