/** What components ask the store. */
import { createContext, useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import type { Problem } from "../api/client";
import type { History, Portfolio } from "../api/schema";
import { Chains } from "../chains";
import type { State, Store } from "./store";

export const StoreContext = createContext<Store | null>(null);

/** The store itself: its session, `request` for other routes, `refresh`. */
export function useStore(): Store {
  const store = useContext(StoreContext);
  if (!store) throw new Error("No session is open here.");
  return store;
}

/** A part of the state; `pick` must answer the same value for the same state. */
function useStored<T>(pick: (state: State) => T): T {
  const store = useStore();
  return useSyncExternalStore(store.subscribe, () => pick(store.read()));
}

export function usePortfolio() {
  const { refresh } = useStore();
  return {
    portfolio: useStored((state) => state.portfolio),
    receivedAt: useStored((state) => state.receivedAt),
    isKept: useStored((state) => state.isKept),
    problem: useStored((state) => state.problem),
    refresh,
  };
}

export function useSyncStatus() {
  const { refreshStatus, trigger } = useStore();
  return { status: useStored((state) => state.status), refresh: refreshStatus, trigger };
}

/** The chains that are known, and what they are called. */
export function useChains(): Chains {
  const read = useStored((state) => state.status?.chains);
  const held = useStored((state) => state.portfolio?.chains);
  return useMemo(() => new Chains(read ?? [], held ?? []), [read, held]);
}

export function useLive() {
  return {
    connection: useStored((state) => state.connection),
    progress: useStored((state) => state.progress),
    lastOutcome: useStored((state) => state.lastOutcome),
  };
}

interface Answered<T> {
  data: T | null;
  problem: Problem | null;
}
const UNASKED: Answered<never> = { data: null, problem: null };

/** What a route answers, kept current with the portfolio; nothing is asked while the path is null. */
export function useWatched<T>(path: string | null): Answered<T> {
  const { watch } = useStore();
  useEffect(() => (path === null ? undefined : watch(path)), [watch, path]);
  return useStored((state) => (path === null ? UNASKED : ((state.watched[path] as Answered<T>) ?? UNASKED)));
}

export function historyPath(days: number): string {
  return `/portfolio/history?days=${days}`;
}

/** The readings of so many days. */
export function useHistory(days: number): Answered<History> {
  return useWatched<History>(historyPath(days));
}

/** All positions, the hidden ones too; asked for only where `isOpen`. */
export function useHidden(isOpen: boolean): Answered<Portfolio> {
  return useWatched<Portfolio>(isOpen ? "/portfolio?includeSpam=true" : null);
}

/** The time, renewed every `intervalMs`, for ages and countdowns. All who ask for the same interval share a clock. */
export function useNow(intervalMs = 1_000): number {
  const clock = clockOf(intervalMs);
  return useSyncExternalStore(clock.subscribe, clock.read);
}

interface Clock {
  subscribe: (listener: () => void) => () => void;
  read: () => number;
}
const clocks = new Map<number, Clock>();

function clockOf(intervalMs: number): Clock {
  const known = clocks.get(intervalMs);
  if (known) return known;
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer = 0;
  const tick = () => {
    now = Date.now();
    for (const listener of listeners) listener();
  };
  const clock: Clock = {
    read: () => {
      // Nobody keeps it going: the time it has is of the last reader.
      if (listeners.size === 0 && Date.now() - now >= intervalMs) now = Date.now();
      return now;
    },
    subscribe: (listener) => {
      if (listeners.size === 0) timer = window.setInterval(tick, intervalMs);
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) clearInterval(timer);
      };
    },
  };
  clocks.set(intervalMs, clock);
  return clock;
}
