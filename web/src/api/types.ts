/** What the page knows of its server that OpenAPI does not describe: the envelope, and the events of the socket. */
import type { Chain, Omitted, Operation, Problem } from "./schema";

/** A number in plain notation, exact: never put through a float where it is shown in full. */
export type Decimal = string;
/** RFC 3339 in UTC, ending with Z. */
export type Time = string;

/** Why a chain was not read, or not in full. */
export type ReasonCode = NonNullable<Chain["errorCode"]>;
export type OperationStatus = Operation["status"];

/** What every route of `/api/v1` answers. */
export type Answer<T> = { success: true; data: T; message: string | null; timestamp: Time } | Problem;

export type ChainProgressState = "waiting" | "reading" | "done" | "failed" | "skipped";

export interface ChainProgress {
  chainId: number;
  state: ChainProgressState;
  reason: string | null;
  /** The reason as a code; null where there is none. */
  code: ReasonCode | null;
  retryAt: Time | null;
}

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
    /** An event of a server before codes existed has none. */
    failedChains: { chainId: number; reason: string; code?: ReasonCode | null; staleSince: Time | null }[];
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
