/** Whether the number is true now: the first part of the line under it. */
import type { Chain, Portfolio } from "../api/schema";
import { ago, millis, moment } from "../format/time";

export interface Freshness {
  tone: "quiet" | "warn";
  text: string;
}

/** "Read 40 s ago · all 5 chains"; "Polygon as of 12:04, it did not answer". */
export function freshness({ chains, asOf }: Portfolio, now: number): Freshness {
  const old = chains.filter(({ status }) => status !== "fresh");
  const fresh = chains.filter(
    (chain): chain is Chain & { syncedAt: string } => chain.status === "fresh" && chain.syncedAt !== null,
  );
  if (old.length === 0) {
    // What is only as new as its oldest part is not called newer.
    const oldest = fresh.map(({ syncedAt }) => syncedAt).sort((a, b) => millis(a) - millis(b))[0] ?? asOf;
    const read = oldest ? `Read ${ago(oldest, now)}` : "Not read yet";
    return {
      tone: "quiet",
      text: `${read} · ${chains.length === 1 ? "its chain" : `all ${chains.length} chains`}`,
    };
  }
  const [one] = old;
  if (old.length === chains.length) {
    const times = old.flatMap(({ syncedAt }) => syncedAt ?? []).sort((a, b) => millis(b) - millis(a));
    const since = times[0] ? ` since ${moment(times[0], now)}` : "";
    return { tone: "warn", text: `No chain has answered${since}` };
  }
  if (old.length === 1 && one) return { tone: "warn", text: chainText(one, now) };
  return { tone: "warn", text: `${old.length} of ${chains.length} chains did not answer` };
}

function chainText(chain: Chain, now: number): string {
  if (chain.status === "never" || !chain.syncedAt) return `${chain.name} was never read`;
  return `${chain.name} as of ${moment(chain.syncedAt, now)}, it did not answer`;
}
