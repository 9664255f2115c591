import { Problem } from "../api/client";
import type { Readiness } from "../api/schema";
import { ADMIN } from "../strings/admin";
import { SERVER_UNREACHABLE } from "../strings/common";

/** How the parts are. Asked without a token, and answered without an envelope, as load balancers do. */
export async function readReadiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetch("/health/ready", { signal, cache: "no-store", credentials: "omit" }).catch((error) => {
    throw signal.aborted ? error : new Problem("offline", SERVER_UNREACHABLE);
  });
  const readiness: Readiness | null = await response.json().catch(() => null);
  // With 503 comes the same body, which says what is down.
  if (!readiness?.dependencies) throw new Problem("unavailable", ADMIN.noReadiness);
  return readiness;
}
