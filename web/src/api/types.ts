/** The API's shapes, as `/docs` describes them. Only what the page reads. */

/** A number in plain notation, exact: never put through a float where it is shown in full. */
export type Decimal = string;
/** RFC 3339 in UTC, ending with Z. */
export type Time = string;

/** What a total leaves out, in counts of positions; `unread` are tokens whose amount was never known. */
export interface Omitted {
  unpriced: number;
  spam: number;
  flagged: number;
  lowLiquidity: number;
  unread: number;
  staleChains: number[];
}

/** The same of a total of the past; null of one of before it was counted. */
export interface OmittedThen extends Omit<Omitted, "lowLiquidity" | "unread"> {
  lowLiquidity: number | null;
  unread: number | null;
}

export type ChainStatus = "fresh" | "stale" | "never";

export interface Chain {
  chainId: number;
  name: string;
  status: ChainStatus;
  /** End of the last reading that succeeded. */
  syncedAt: Time | null;
  /** Why it is not fresh; or, of a fresh one, what its source can't know. */
  error: string | null;
}

export interface Position {
  walletAddress: string;
  chainId: number;
  tokenAddress: string;
  isNative: boolean;
  /** Hostile text, like `name`. */
  symbol: string | null;
  name: string | null;
  decimals: number | null;
  /** In the smallest unit. */
  balance: string;
  amount: Decimal | null;
  priceUsd: Decimal | null;
  priceSource: string | null;
  priceAt: Time | null;
  valueUsd: Decimal | null;
  /** Percent over 24 hours of the price. */
  change24h: Decimal | null;
  isSpam: boolean;
  spamReasons: string[];
  flags: string[];
  stale: boolean;
  /** Where the logo comes from; the page asks `/api/v1/logos/{chainId}/{tokenAddress}` for it, where this is set. */
  logoUrl: string | null;
  isCounted: boolean;
  /** Why its value is not in the total, as a code; null where it is. */
  notCountedReason: string | null;
}

/** `GET /portfolio`. */
export interface Portfolio {
  userId: string;
  version: number;
  /** End of the last sync that read a chain; null before the first. */
  asOf: Time | null;
  totalValueUsd: Decimal;
  complete: boolean;
  omitted: Omitted;
  chains: Chain[];
  positions: Position[];
}

/** A reading of the whole portfolio. */
export interface HistoryPoint {
  at: Time;
  totalValueUsd: Decimal;
  /** What was left out then; null where that was not kept. */
  omitted: OmittedThen | null;
}

/** `GET /portfolio/history?days=`: the last reading of each bucket that has one. */
export interface History {
  days: number;
  /** Length of a bucket; two readings further apart than `gapSeconds` have a gap between them. */
  bucketSeconds: number;
  gapSeconds: number;
  /** The last reading before the range begins, if any. */
  before: HistoryPoint | null;
  points: HistoryPoint[];
}

export type Freshness = "current" | "recent" | "stale" | "never";

export type ChainProgressState = "waiting" | "reading" | "done" | "failed" | "skipped";

export interface ChainProgress {
  chainId: number;
  state: ChainProgressState;
  reason: string | null;
  retryAt: Time | null;
}

/** `GET /sync/status`. */
export interface SyncStatus {
  userId: string;
  lastSyncAt: Time | null;
  syncStatus: Freshness;
  isRunning: boolean;
  activeSyncOperations: number;
  totalTokens: number;
  totalValueUsd: Decimal | null;
  /** Minutes between unattended syncs, as of now. */
  syncFrequency: number;
  nextScheduledSync: Time | null;
  /** What is left of the syncs that a person may ask for, and when the next one comes back. */
  remainingRequests: number;
  maxRequests: number;
  resetTime: Time | null;
  /** A request that waits for its sync to begin. */
  pendingRequestId: string | null;
  /** The sync that runs. */
  runningOperation: { syncOperationId: string; trigger: string; startedAt: Time } | null;
  lastError: { message: string; at: Time } | null;
  /** While all syncs are paused: since when, and why. */
  pause: { since: Time; reason: string } | null;
}

/** `POST /sync/trigger`, answer 202. */
export interface SyncTriggered {
  requestId: string;
  syncType: string;
  priority: "high" | "medium" | "low";
  remainingRequests: number;
  resetTime: Time | null;
}

export type OperationStatus = "pending" | "running" | "completed" | "partial" | "failed" | "cancelled" | "refused";

/** An item of `GET /sync/operations`. */
export interface Operation {
  syncOperationId: string;
  type: string;
  status: OperationStatus;
  priority: string;
  trigger: "manual" | "backfill" | "schedule" | "webhook" | "login";
  startedAt: Time;
  completedAt: Time | null;
  durationMs: number | null;
  tokensSynced: number;
  chainsSynced: number;
  totalValueUsd: Decimal | null;
  errorCode: string | null;
  errorMessage: string | null;
  retryCount: number;
  portfolioVersion: number | null;
}

/** `GET /sync/operations/{id}`. */
export interface OperationDetail extends Operation {
  chains: {
    walletAddress: string;
    chainId: number;
    outcome: "ok" | "failed" | "skipped" | "kept";
    source: string | null;
    tokens: number;
    reason: string | null;
    retryAt: Time | null;
  }[];
  providerCalls: number;
  computeUnits: number;
  requestId: string | null;
  workerId: string | null;
  dagsterRunId: string | null;
  dagsterRunUrl: string | null;
}

/** `GET /wallets`, `PUT /wallets` {wallets}. Addresses in lower case, the first registered first. */
export interface Wallets {
  wallets: string[];
  maxWallets: number;
  /** Of a PUT that changed something: the request for the first sync. */
  requestId: string | null;
}

/** `GET /sync/queue`, for admins. Ages in seconds. */
export interface Queue {
  users: { registered: number; due: number; longestDueSeconds: number };
  pause: { since: Time; by: string; reason: string } | null;
  requests: { pending: number; oldestSeconds: number };
  outbox: { unpublished: number; oldestSeconds: number };
  running: {
    syncOperationId: string;
    userId: string;
    trigger: string;
    startedAt: Time;
    workerId: string | null;
    runId: string | null;
  }[];
  workers: { id: string; host: string; pid: number; startedAt: Time; alive: boolean; recoveryMs: number | null }[];
  blocks: { key: string; since: Time; until: Time; reason: string }[];
  /** Where Dagster's own pages are. */
  dagsterUrl: string | null;
}

/** An item of `GET /breakers`, for admins; `POST /breakers/{key}/reset` closes one. */
export interface Breaker {
  key: string;
  state: "closed" | "open" | "half_open";
  since: Time;
  retryAt: Time | null;
  cause: string | null;
  failureCount: number;
  lastError: string | null;
  lastFailureAt: Time | null;
}

/** `GET /sync/stats`, for admins: a day each, the newest first. */
export interface DayOfSyncs {
  date: string;
  totalSyncs: number;
  completedSyncs: number;
  partialSyncs: number;
  failedSyncs: number;
  uniqueUsers: number;
  avgDurationMs: number | null;
  providerCalls: number;
  computeUnits: number;
}

/** `GET /health/ready`, without a token and outside of `/api/v1`; 200, or 503 with the same body. Not in an envelope. */
export interface Readiness {
  status: "ready" | "not_ready";
  dependencies: Record<string, { ok: boolean; needed: boolean; latencyMs: number | null; error: string | null }>;
}

/** What every route of `/api/v1` answers. */
export type Answer<T> =
  | { success: true; data: T; message: string | null; timestamp: Time }
  | {
      success: false;
      error: {
        /** Such as `unauthorized`, `token_expired`, `forbidden`, `not_found`, `invalid_request`, `rate_limited`,
         * `too_many_requests`, `no_wallets`, `disabled`, `unavailable`. */
        code: string;
        message: string;
        /** Of `invalid_request`: which field, and why. */
        details?: { field: string; message: string }[];
        /** Of `rate_limited`. */
        remainingRequests?: number;
        resetTime?: Time | null;
      };
      timestamp: Time;
    };

/** Socket.IO, server to page: path `/socket.io`, `auth: {token, lastVersion?}`. */
export interface ServerEvents {
  /** `version` grows with each change; an update that is not newer than what is shown is dropped. */
  portfolio_update: (update: {
    eventId: string | null;
    version: number;
    totalValueUsd: number;
    omitted: Omitted;
    updatedAt: Time;
  }) => void;
  sync_started: (event: { syncOperationId: string; chains: number[]; startedAt: Time; syncType: string }) => void;
  /** Of the sync of one person: as each chain ends. Not kept: a page that was away misses it. */
  sync_progress: (event: { syncOperationId: string } & ChainProgress) => void;
  sync_completed: (event: {
    syncOperationId: string;
    processingTime: number;
    complete: boolean;
    failedChains: { chainId: number; reason: string; staleSince: Time | null }[];
    completedAt: Time;
  }) => void;
  sync_failed: (event: {
    syncOperationId: string;
    error: { code: string; message: string; retryAt: Time | null };
    failedAt: Time;
  }) => void;
  system_alert: (event: {
    alertType: string;
    message: string;
    severity: "info" | "warning" | "critical";
    service: string;
  }) => void;
  /** The token's time is over; the socket is closed right after it. */
  session_ended: () => void;
}
