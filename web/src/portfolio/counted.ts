/** Which positions make up the total: the server's rule, for shares. */
import type { Position } from "../api/types";

const KEPT_OUT = ["price_jump", "unconfirmed_price"];

/** Whether the price of a position is one that the total does without. */
export function isFlagged({ flags }: Position): boolean {
  return flags.some((flag) => KEPT_OUT.includes(flag));
}

export function isCounted(position: Position): position is Position & { valueUsd: string } {
  return !position.isSpam && position.valueUsd !== null && !isFlagged(position);
}
