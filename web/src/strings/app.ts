/** The frame of the page: its header, and what stands in place of a portfolio or above it. */
import type { Connection } from "../live/socket";

export const BRAND = "MoonX";

export const CONNECTIONS: Record<Connection, string> = {
  live: "Live",
  reconnecting: "Reconnecting",
  offline: "Offline",
  ended: "Session ended",
};

export function signedInAs(userId: string): string {
  return `As ${userId}`;
}
export function themeSwitch(theme: "dark" | "light"): string {
  return `Use the ${theme} theme`;
}

export function accountOf(name: string): string {
  return `Account of ${name}`;
}
export const MENU = { wallets: "Wallets", history: "History of syncs", admin: "Admin", signOut: "Sign out" };

const WAY_BACK = "Open it again from where you signed in: the new link brings a new session.";
export const ENDED = {
  title: "Your session ended",
  text: `To see your portfolio, sign in once more. ${WAY_BACK}`,
  strip: `Your session ended, so this is no longer kept up to date. ${WAY_BACK}`,
};

export const REFUSED = "This link does not sign you in";
export const TOKEN_IN_LINK =
  "This link holds a token, which the browser keeps. Ask for a link with a code, which is good once: " +
  "'moonx token USER --link' prints one.";
export function signInTitle(user: string): string {
  return `Sign in as ${user}?`;
}
export function signInWarning(user: string, known: string): string {
  return (
    `${known} signed in to this browser last, and the link that you opened is ${user}’s. What you do next, such as ` +
    `adding a wallet, would be done as ${user}, and be there for ${user} to see. If you did not ask for this link, stay.`
  );
}
export function signInAs(user: string): string {
  return `Sign in as ${user}`;
}
export function stayAs(known: string): string {
  return `Stay ${known}`;
}
export function goOnAs(user: string): string {
  return `Go on as ${user}`;
}

export const UNREACHABLE = {
  title: "The server can't be reached",
  text: "There is nothing kept in this browser to show meanwhile. Check your connection; the page tries again by itself.",
};
/** @param when "5 min ago"; null where it is not known. */
export function lastKnown(when: string | null): string {
  return `The server can't be reached. This is what was known ${when ?? "last"}.`;
}

export const UNSHOWABLE = { title: "Your portfolio can't be shown now" };
export function unshowable(message: string): string {
  return `${message} Your money is not touched by this. Try again in a minute.`;
}
export function notReadAnew(message: string): string {
  return `What changed just now could not be read: ${message}`;
}

export const READING = "Reading your portfolio";
export const FIRST_READING = "Reading your wallets for the first time";
