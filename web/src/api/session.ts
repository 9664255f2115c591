/** Who is looking: the token of this tab. The server checks it; here it is only read. */

export interface Session {
  token: string;
  userId: string;
  isAdmin: boolean;
  /** In ms since the epoch; null of a token that does not say. */
  expiresAt: number | null;
}

const TOKEN = "moonx.token";
const USER = "moonx.user";

/**
 * What a link brings: a code that the server swaps for a token, once. A token itself is not taken, since the browser's
 * history keeps it; all that is said of it is that there was one.
 */
export type Offer = { code: string } | "token";

/** What the address offers, if anything. */
export function offered(): Offer | null {
  const parts = new URLSearchParams(location.hash.slice(1));
  const code = parts.get("code");
  return code ? { code } : parts.has("token") ? "token" : null;
}

/**
 * Takes what the address offers out of it, so that it is in no screenshot and no bookmark. The browser's history may
 * have the address it came by: a code in it is used up.
 */
export function takeOffer(): Offer | null {
  const offer = offered();
  if (offer) history.replaceState(history.state, "", location.pathname + location.search);
  return offer;
}

/** The session that the page begins with; or what a link brings, where that must be looked into first. */
export function arrive(): { session: Session | null; offer: Offer | null } {
  const offer = takeOffer();
  return { session: offer ? null : openSession(), offer };
}

/** The session of this tab, or null where it has none that could be good still. */
export function openSession(now = Date.now()): Session | null {
  const token = sessionStorage.getItem(TOKEN);
  const session = token ? readToken(token) : null;
  return session && isGood(session, now) ? session : null;
}

/** From now on this tab is this user's, and this browser remembers who that was. */
export function beginSession({ token, userId }: Session): void {
  sessionStorage.setItem(TOKEN, token);
  try {
    localStorage.setItem(USER, userId);
  } catch {
    // No storage: the next link can't ask whether it may replace this user.
  }
}

/** Who is, or last was, signed in here and did not sign out; null of a browser that nobody has used. */
export function knownUser(): string | null {
  return openSession()?.userId ?? lastUser();
}

/** Who signed in to this browser last, in whichever tab, and did not sign out. */
export function lastUser(): string | null {
  try {
    return localStorage.getItem(USER);
  } catch {
    return null;
  }
}

export function forgetSession(): void {
  sessionStorage.removeItem(TOKEN);
  try {
    localStorage.removeItem(USER);
  } catch {
    // No storage: nothing is kept either.
  }
}

export function isGood({ expiresAt }: Session, now = Date.now()): boolean {
  return expiresAt === null || expiresAt > now;
}

/** What a JSON Web Token says; null of anything else. */
export function readToken(token: string): Session | null {
  try {
    const payload = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(payload.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims.sub !== "string" || claims.sub === "") return null;
    return {
      token,
      userId: claims.sub,
      isAdmin: claims.role === "admin",
      expiresAt: typeof claims.exp === "number" ? claims.exp * 1000 : null,
    };
  } catch {
    return null;
  }
}
