/** The logos that come with the page, by contract: a token that calls itself USDC is none that has its logo. */
import { useEffect, useSyncExternalStore } from "react";
import indexAddress from "./logos.json?url";

/** By chain, then by contract: a file. */
type Index = Readonly<Record<string, Readonly<Record<string, string>>>>;

let index: Index | null = null;
let isAsked = false;
const listeners = new Set<() => void>();

async function load(): Promise<void> {
  if (isAsked) return;
  isAsked = true;
  // Without it tokens have the logos that a provider named, or their initials.
  index = await fetch(indexAddress).then(
    (response) => (response.ok ? response.json() : {}),
    () => ({}),
  );
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The address of a contract's own logo; null of one that has none, undefined until that is known. */
export function useOwnLogo(chainId: number, contract: string): string | null | undefined {
  const known = useSyncExternalStore(subscribe, () => index);
  useEffect(() => {
    load();
  }, []);
  if (known === null) return undefined;
  const file = known[chainId]?.[contract];
  return file === undefined ? null : `/assets/logos/${file}`;
}
