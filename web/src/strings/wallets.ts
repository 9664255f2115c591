/** Wallets: the first visit, the list, and what is said of an address that can't be added. */
import type { Problem } from "../api/client";
import { counted, list, shortAddress } from "../format/text";
import { CHECK_CONNECTION, SERVER_UNREACHABLE } from "./common";

export const WALLETS = {
  title: "Wallets",
  failed: { what: "Your wallets could not be read.", next: CHECK_CONNECTION },
  add: "Add",
  remove: "Remove",
  removing: "Removing",
  isRemoving: "It is being removed.",
  removeWallet: "Remove wallet",
  notRemoved: "It could not be removed. Check your connection and try again.",
  keep: "Keep it",
};
export function walletLimit(max: number): string {
  return `${counted(max, "wallet")} are the most there can be. Remove one to add another.`;
}
export function walletCount(count: number, max: number): string {
  return `${count} of ${counted(max, "wallet")}`;
}
export function removed(address: string): string {
  return `${shortAddress(address)} is removed.`;
}
export function removeAddress(address: string): string {
  return `Remove ${shortAddress(address)}`;
}
export function removalNote(isLast: boolean): string {
  const from = isLast ? "your portfolio, which is empty then" : "your portfolio";
  return `Its tokens and their history leave ${from}. On the chain nothing happens, and you can add it again.`;
}

export const ADDRESS_FORM = {
  label: "Wallet address",
  placeholder: "0x…",
  adding: "Adding",
  isAdding: "It is being added.",
};
export function refusalText({ code, message, details }: Problem): string {
  if (code === "offline") return `${SERVER_UNREACHABLE} ${CHECK_CONNECTION}`;
  if (code === "invalid_request") return `${details[0]?.message ?? message}.`.replace(/\.\.$/, ".");
  return "It could not be added, for a fault on our side. Try again in a moment.";
}

export const FIRST_VISIT = {
  title: "Which wallet is yours?",
  failed: { what: "Your wallets could not be looked up.", next: CHECK_CONNECTION },
  show: "Show it",
  paused: "All syncs are paused. Yours begins when the pause ends.",
  marks: "Each mark is a chain; it fills when that chain has answered.",
  notRead: "Your wallet was not read yet.",
  notLost: "Nothing is lost. Try again.",
  readNow: "Read it now",
};
/** @param chains Names of the chains that a sync reads; empty where they are not known yet. */
export function pasteAddress(chains: readonly string[]): string {
  const where = chains.length > 0 ? `It is read on ${list(chains)}; reading` : "Reading";
  return `Paste its address. ${where} takes no key and no signature.`;
}
export function readingWallets(addresses: readonly string[]): string {
  return `Reading ${addresses.length === 1 ? shortAddress(addresses[0] ?? "") : `${addresses.length} wallets`}`;
}
