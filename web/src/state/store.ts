/** All that the page knows, in one place, and what makes it read anew. Knows nothing of React. */
import { Client, Problem, type RequestOptions, type Tagged } from "../api/client";
import type { Portfolio, SyncStatus, SyncTriggered } from "../api/schema";
import type { Session } from "../api/session";
import type { ChainProgress, ServerEvents } from "../api/types";
import { afterCompleted, afterFailed, afterProgress, afterStarted, allChains } from "../live/progress";
import { type Connection, openSocket } from "../live/socket";
import { keepSoon, readKept } from "./cache";
import { SingleFlight } from "./flight";
import { sharing } from "./sharing";

export type Outcome =
  | ({ type: "completed" } & Parameters<ServerEvents["sync_completed"]>[0])
  | ({ type: "failed" } & Parameters<ServerEvents["sync_failed"]>[0]);

/** What a watched route answered last, and why it did not answer since. */
export interface Watched {
  data: unknown;
  problem: Problem | null;
}

export interface State {
  portfolio: Portfolio | null;
  /** When the portfolio was last confirmed by the server, in ms since the epoch. */
  receivedAt: number | null;
  /** Whether it is only what was kept in the browser: the server has not confirmed it since the page was opened. */
  isKept: boolean;
  /** Why the last read of the portfolio failed; null when it did not. */
  problem: Problem | null;
  /** By path: routes whose answer follows from the portfolio, kept current while somebody shows them. */
  watched: Readonly<Record<string, Watched>>;
  status: SyncStatus | null;
  connection: Connection;
  progress: readonly ChainProgress[];
  lastOutcome: Outcome | null;
}

const STATUS_EVERY_MS = 60_000;

export class Store {
  /** Addresses of logos that there are none of, so that scrolling by does not ask for them again. */
  readonly brokenLogos = new Set<string>();
  private state: State;
  private readonly listeners = new Set<() => void>();
  private readonly client: Client;
  private readonly portfolioReads = new SingleFlight((fresh: boolean) => this.readPortfolio(fresh));
  private readonly statusReads = new SingleFlight<void>(() => this.readStatus());
  private readonly watchers = new Map<string, { count: number; read: SingleFlight<void> }>();
  private begun: Promise<void> | null = null;
  private wasLive = false;
  /** Names the click that the server has not answered: asking again is the same request. */
  private unanswered: string | null = null;
  private clicks = 0;

  constructor(readonly session: Session) {
    this.client = new Client(session.token);
    this.client.onOutcome = (problem) => this.learn(problem);
    const kept = readKept(session.userId);
    this.state = {
      portfolio: kept?.portfolio ?? null,
      receivedAt: kept?.receivedAt ?? null,
      isKept: kept !== null,
      problem: null,
      watched: {},
      status: null,
      connection: "reconnecting",
      progress: [],
      lastOutcome: null,
    };
  }

  readonly read = (): State => this.state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Reads what is there, once, before anything shows it. */
  readonly begin = (): Promise<void> => {
    this.begun ??= this.refresh();
    return this.begun;
  };

  /** Reads what is there and follows what changes; answers how to stop. */
  readonly start = (): (() => void) => {
    const closeSocket = openSocket({
      token: this.session.token,
      lastVersion: () => (this.state.isKept ? undefined : this.state.portfolio?.version),
      onConnection: (connection) => this.onConnection(connection),
      on: this.events,
    });
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") this.state.problem ? this.refresh() : this.refreshStatus();
    }, STATUS_EVERY_MS);
    const goes = () => this.change({ connection: "offline" });
    window.addEventListener("offline", goes);
    window.addEventListener("online", this.refresh);
    this.begin();
    return () => {
      closeSocket();
      clearInterval(timer);
      window.removeEventListener("offline", goes);
      window.removeEventListener("online", this.refresh);
    };
  };

  /** Any other route, as this user. */
  readonly request = <T>(path: string, options?: RequestOptions): Promise<T> => this.client.request<T>(path, options);
  readonly tagged = <T>(path: string): Promise<Tagged<T>> => this.client.tagged<T>(path);
  readonly file = (path: string): Promise<Blob> => this.client.file(path);

  /** Reads the portfolio and the status anew. */
  readonly refresh = async (): Promise<void> => {
    for (const [path, { problem }] of Object.entries(this.state.watched))
      if (problem) this.watchers.get(path)?.read.run();
    await Promise.all([this.portfolioReads.run(false), this.statusReads.run()]);
  };

  readonly refreshStatus = (): Promise<void> => this.statusReads.run();

  /** Asks for a sync. Throws `Problem`: `rate_limited` with its `resetTime`, `no_wallets`, `disabled`, … */
  readonly trigger = async (): Promise<SyncTriggered> => {
    this.change({ progress: allChains("waiting", this.chainIds()), lastOutcome: null });
    this.unanswered ??= randomName();
    this.clicks += 1;
    try {
      const answered = await this.client.request<SyncTriggered>("/sync/trigger", {
        method: "POST",
        headers: { "Idempotency-Key": this.unanswered },
        body: { priority: "high", syncType: "manual", forceRefresh: false },
      });
      this.unanswered = null;
      return answered;
    } catch (error) {
      if (!(error instanceof Problem && error.isOutage)) this.unanswered = null;
      this.change({ progress: [] });
      throw error;
    } finally {
      this.refreshStatus();
    }
  };

  /** Keeps what a route answers current with the portfolio until it is called off. */
  readonly watch = (path: string): (() => void) => {
    const watcher = this.watchers.get(path) ?? { count: 0, read: new SingleFlight<void>(() => this.readWatched(path)) };
    this.watchers.set(path, watcher);
    watcher.count += 1;
    if (watcher.count === 1) watcher.read.run();
    return () => {
      watcher.count -= 1;
    };
  };

  private readonly events: Partial<ServerEvents> = {
    portfolio_update: ({ version }) => {
      if (this.state.isKept || version > (this.state.portfolio?.version ?? -1)) this.portfolioReads.run(false);
    },
    sync_started: (event) => {
      this.change({ progress: afterStarted(event), lastOutcome: null });
      this.refreshStatus();
    },
    sync_progress: (event) => this.change({ progress: afterProgress(this.state.progress, event) }),
    sync_completed: (event) => {
      this.change({
        progress: afterCompleted(this.state.progress, event),
        lastOutcome: { type: "completed", ...event },
      });
      // A sync that changed no balance still makes the reading younger, and changes no version.
      if ((this.state.portfolio?.asOf ?? "") < event.completedAt) this.portfolioReads.run(true);
      this.refreshStatus();
    },
    sync_failed: (event) => {
      // A later sync took its place, and that one is shown.
      if (event.error.code === "superseded") return;
      const lastOutcome: Outcome = { type: "failed", ...event };
      this.change({ progress: afterFailed(this.state.progress), lastOutcome });
      this.portfolioReads.run(true);
      this.refreshStatus();
    },
  };

  private onConnection(connection: Connection): void {
    const before = this.state.connection;
    if (before === "ended") return;
    const isDue = this.wasLive || this.state.problem !== null;
    if (connection === "live") this.wasLive = true;
    if (connection === "live" && before !== "live") {
      this.change({ connection });
      // What was told while nobody listened is read.
      if (isDue) this.refresh();
    } else if (connection === "reconnecting" && before !== "live") {
      // The socket fails on: asking tells whether the server is there at all, and what it would have told.
      this.refresh();
    } else this.change({ connection });
  }

  private async readPortfolio(fresh: boolean): Promise<void> {
    try {
      const before = this.state.isKept ? null : this.state.portfolio;
      const answered = await this.client.portfolio(fresh || !before);
      const portfolio = answered ? sharing(this.state.portfolio, answered) : before;
      const receivedAt = Date.now();
      this.change({ portfolio, receivedAt, isKept: false, problem: null });
      if (!answered) return;
      keepSoon({ portfolio: answered, receivedAt });
      if (before && (before.version !== answered.version || before.asOf !== answered.asOf)) this.rereadWatched();
    } catch (error) {
      this.change({ problem: error as Problem });
    }
  }

  private async readStatus(): Promise<void> {
    const clicks = this.clicks;
    try {
      const status = await this.client.request<SyncStatus>("/sync/status");
      const before = this.state.status?.lastSyncAt;
      this.change({ status });
      // A sync that finds nothing changed is told by nothing else.
      const asOf = this.state.portfolio?.asOf;
      const after = status.lastSyncAt;
      if (before && after && before < after && asOf && asOf < after) this.portfolioReads.run(true);
      if (status.runningOperation && this.state.progress.length === 0)
        this.change({ progress: allChains("reading", this.chainIds()) });
      // Ended while nobody listened, unless what was asked for since is not in this answer yet.
      const isOver =
        !status.isRunning &&
        !status.pendingRequestId &&
        this.state.lastOutcome === null &&
        this.unanswered === null &&
        clicks === this.clicks;
      if (isOver && this.state.progress.length > 0) this.change({ progress: [] });
    } catch {
      // The connection's state and the portfolio's problem say it.
    }
  }

  /** The chains that a sync reads, as far as they are known. */
  private chainIds(): number[] {
    const { status, portfolio } = this.state;
    return (status?.chains ?? portfolio?.chains ?? []).map(({ chainId }) => chainId);
  }

  private rereadWatched(): void {
    for (const [path, { count, read }] of this.watchers) {
      if (count > 0) read.run();
      else this.watchers.delete(path);
    }
  }

  private async readWatched(path: string): Promise<void> {
    const before = this.state.watched[path]?.data ?? null;
    const told = (watched: Watched) => this.change({ watched: { ...this.state.watched, [path]: watched } });
    try {
      told({ data: await this.client.request(path), problem: null });
    } catch (error) {
      told({ data: before, problem: error as Problem });
    }
  }

  /** Every request tells of the server too. */
  private learn(problem: Problem | null): void {
    if (problem?.endsSession) this.change({ connection: "ended" });
    else if (problem?.code === "offline" && this.state.connection !== "ended") this.change({ connection: "offline" });
    else if (!problem && this.state.connection === "offline") this.change({ connection: "reconnecting" });
  }

  private change(changes: Partial<State>): void {
    this.state = { ...this.state, ...changes };
    for (const listener of this.listeners) listener();
  }
}

/** 128 random bits; unlike `crypto.randomUUID`, also on a page that came without encryption. */
function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
