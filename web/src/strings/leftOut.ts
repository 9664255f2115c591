/** What a total of the past left out, in words. */
import type { OmittedThen } from "../api/schema";
import type { Chains } from "../chains";
import { counted, list } from "../format/text";

export function leftOut({ omitted }: { omitted: OmittedThen | null }, chains: Chains): string {
  if (!omitted) return "what was left out is not known";
  const { unpriced, flagged, lowLiquidity, unread, staleChains } = omitted;
  const parts = [
    unread !== null && unread > 0 && `${counted(unread, "token")} not read`,
    unpriced > 0 && `${counted(unpriced, "token")} without a price`,
    lowLiquidity !== null && lowLiquidity > 0 && `${counted(lowLiquidity, "token")} hard to sell`,
    flagged > 0 && `${counted(flagged, "price")} not trusted`,
    staleChains.length > 0 && `older values of ${list(staleChains.map((chainId) => chains.name(chainId)))}`,
  ].filter(Boolean);
  if (parts.length > 0) return parts.join(", ");
  // A total of before these were counted does not know whether there were any.
  return unread === null || lowLiquidity === null ? "nothing left out that was counted then" : "nothing left out";
}
