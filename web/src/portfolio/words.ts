/** The server's codes in plain words. */

const SPAM: Record<string, string> = {
  link_in_name: "its name holds a link",
  lure_in_name: "its name asks you to claim or visit something",
  lookalike_symbol: "it poses as a well-known token",
  hidden_characters: "its name holds characters that do not show",
  no_metadata: "it has no name",
  thin_liquidity: "it can hardly be sold anywhere",
};

const FLAGS: Record<string, string> = {
  price_jump: "The price moved more than tenfold within a day, and no second source confirms it",
  unconfirmed_price: "Nobody knows how much could be sold at this price",
  sources_disagree: "Another source has a different price; the more trusted one is used",
  usdt_at_par: "Priced in USDT, counted as one dollar each",
  old_price: "No source has a newer price",
  thin_liquidity: "Too little is traded for a price to be trusted",
};

const SOURCES: Record<string, string> = {
  binance: "Binance",
  coingecko: "CoinGecko",
  alchemy: "Alchemy",
  dexscreener: "DexScreener",
};

export function spamReason(code: string): string {
  return SPAM[code] ?? "it looks like spam";
}

export function flagReason(code: string): string {
  return FLAGS[code] ?? "Its price is uncertain";
}

export function sourceName(source: string | null): string {
  return source === null ? "" : (SOURCES[source] ?? source);
}

/** As the first word of a sentence. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
