/** Who is looking: the token that the page was opened with. The server checks it; here it is only read. */

export interface Session {
  token: string;
  userId: string;
  isAdmin: boolean;
  /** In ms since the epoch; null of a token that does not say. */
  expiresAt: number | null;
}

const KEY = "moonx.token";

/**
 * Takes the token out of the address, where it came as `#token=…`, so that it is in no screenshot and no bookmark.
 * The browser's history may have the address it came by: what keeps that harmless is a short life of tokens.
 */
export function takeToken(): boolean {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return false;
  sessionStorage.setItem(KEY, token);
  history.replaceState(history.state, "", location.pathname + location.search);
  return true;
}

/** The session of this tab, or null where it has none that could be good still. */
export function openSession(now = Date.now()): Session | null {
  const token = sessionStorage.getItem(KEY);
  const session = token ? readToken(token) : null;
  return session && (session.expiresAt === null || session.expiresAt > now) ? session : null;
}

export function forgetSession(): void {
  sessionStorage.removeItem(KEY);
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
