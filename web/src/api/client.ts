import type { Portfolio, Session as SessionToken } from "./schema";
import type { Answer } from "./types";

/** Why a request was not answered as hoped. */
export class Problem extends Error {
  constructor(
    /** The server's code; or `offline` when nothing answered, `unavailable` when something that is not ours did. */
    readonly code: string,
    message: string,
    readonly status = 0,
    /** Seconds after which a new try makes sense, where the server said. */
    readonly retryAfter: number | null = null,
    readonly details: { field: string; message: string }[] = [],
    /** When the next request comes back, of `rate_limited`. */
    readonly resetTime: string | null = null,
  ) {
    super(message);
  }

  /** Nobody could answer: what was known before is still the best there is. */
  get isOutage(): boolean {
    return this.code === "offline" || this.code === "unavailable";
  }

  get endsSession(): boolean {
    return this.status === 401;
  }
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** An answer's `data`, and the tag of its version where it has one. */
export interface Tagged<T> {
  data: T;
  tag: string | null;
}

/** The token that a link's code stands for. Throws `Problem`: `code_refused` of a code that is used up or over, … */
export async function tokenOf(code: string): Promise<string> {
  return (await new Client(null).request<SessionToken>("/session", { method: "POST", body: { code } })).token;
}

/** Asks the API under the token of one session. */
export class Client {
  /** Is told how every request went: whether the server was there, and whether it still takes the token. */
  onOutcome: (problem: Problem | null) => void = () => {};
  private portfolioTag: string | null = null;

  /** @param token Null of who has none yet. */
  constructor(private readonly token: string | null) {}

  /** The `data` of an answer. Throws `Problem`, or an AbortError when `signal` stopped it. */
  async request<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return this.data<T>(await this.send(path, options));
  }

  /** An answer with the tag that `If-Match` names it by. Throws as `request` does. */
  async tagged<T>(path: string): Promise<Tagged<T>> {
    const response = await this.send(path, {});
    return { data: await this.data<T>(response), tag: response.headers.get("ETag") };
  }

  /** The portfolio, or null when it is the one that was answered last. */
  async portfolio(fresh = false): Promise<Portfolio | null> {
    const headers: Record<string, string> = {};
    if (this.portfolioTag && !fresh) headers["If-None-Match"] = this.portfolioTag;
    const response = await this.send("/portfolio", { headers });
    if (response.status === 304) {
      this.onOutcome(null);
      return null;
    }
    const portfolio = await this.data<Portfolio>(response);
    this.portfolioTag = response.headers.get("ETag");
    return portfolio;
  }

  /** A file, for saving. */
  async file(path: string): Promise<Blob> {
    const response = await this.send(path, {});
    return response.ok ? response.blob() : this.data<never>(response);
  }

  private async send(path: string, options: RequestOptions): Promise<Response> {
    const headers: Record<string, string> = { ...options.headers };
    if (this.token !== null) headers.Authorization = `Bearer ${this.token}`;
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    try {
      // What is kept is kept by the page, per user; a cache that answers by address alone must not.
      return await fetch(`/api/v1${path}`, {
        method: options.method ?? "GET",
        headers,
        body: options.body === undefined ? undefined : JSON.stringify(options.body),
        signal: options.signal,
        cache: "no-store",
        credentials: "omit",
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw this.told(new Problem("offline", "The server can't be reached."));
    }
  }

  private async data<T>(response: Response): Promise<T> {
    const answer: Answer<T> | null = await response.json().catch(() => null);
    if (response.ok && answer?.success) {
      this.onOutcome(null);
      return answer.data;
    }
    const seconds = Number(response.headers.get("Retry-After"));
    const retryAfter = Number.isFinite(seconds) && seconds > 0 ? seconds : null;
    if (!answer || answer.success || !answer.error)
      throw this.told(
        new Problem("unavailable", "The server did not answer as it should.", response.status, retryAfter),
      );
    const { code, message, details, resetTime = null } = answer.error;
    throw this.told(new Problem(code, message, response.status, retryAfter, details ?? [], resetTime));
  }

  private told(problem: Problem): Problem {
    this.onOutcome(problem);
    return problem;
  }
}
