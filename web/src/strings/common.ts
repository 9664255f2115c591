/** Words that many parts of the page share. */

export const TRY_AGAIN = "Try again";
export const LOADING = "Loading…";
export const CHECK_CONNECTION = "Check your connection and try again.";
export const SERVER_UNREACHABLE = "The server can’t be reached.";
export const CLOSE = "Close";
/** In place of a value that does not exist. */
export const NOTHING = "–";

export const COPIED = "Copied";
export const NOT_COPIED = "Not copied: the browser refused";
export function copyWhole(what: string): string {
  return `, copy the whole ${what}`;
}
/** What is copied. */
export const COPY = {
  address: "address",
  amount: "amount",
  contract: "address of the contract",
  wallet: "address of the wallet",
};
