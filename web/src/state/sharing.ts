/** A portfolio that is read anew is mostly the old one: what did not change stays the same object, and is not drawn. */
import type { Portfolio, Position } from "../api/schema";

/** Of one wallet, chain and token there is one position. */
export function positionKey({ walletAddress, chainId, tokenAddress }: Position): string {
  return `${walletAddress}/${chainId}/${tokenAddress}`;
}

/** `next`, with the positions of `before` where they are equal. */
export function sharing(before: Portfolio | null, next: Portfolio): Portfolio {
  if (!before) return next;
  const known = new Map(before.positions.map((position) => [positionKey(position), position]));
  const positions = next.positions.map((position) => {
    const old = known.get(positionKey(position));
    return old && isEqual(old, position) ? old : position;
  });
  return { ...next, positions };
}

function isEqual(a: Position, b: Position): boolean {
  return (Object.keys(b) as (keyof Position)[]).every((key) => {
    const [left, right] = [a[key], b[key]];
    return Array.isArray(left) && Array.isArray(right) ? left.join() === right.join() : left === right;
  });
}
