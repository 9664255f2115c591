/** What a sync changed: two portfolios compared, by the exact balances. */
import type { Portfolio, Position } from "../api/schema";
import type { Decimal } from "../api/types";
import { absolute, compare, multiply, subtract, toText } from "../format/decimal";

export interface Change {
  chainId: number;
  tokenAddress: string;
  /** Hostile text. */
  symbol: string | null;
  /** How much more (positive) or less is held, exact; null where the token's decimals are unknown. */
  amount: Decimal | null;
}

export interface Changes {
  /** The greatest in value first. */
  held: Change[];
  /** Tokens new since then that look like spam, which are hidden. */
  spam: number;
  /** By how much the total differs, exact. */
  total: Decimal;
  /** There was nothing to compare with: this is what was found. */
  first: { tokens: number; chains: number } | null;
}

interface Holding {
  position: Position;
  balance: bigint;
}

export function changesBetween(before: Portfolio | null, after: Portfolio): Changes {
  if (!before?.asOf) {
    const shown = after.positions.filter((position) => !position.isSpam);
    const chains = new Set(shown.map((position) => position.chainId)).size;
    return { held: [], spam: 0, total: after.totalValueUsd, first: { tokens: shown.length, chains } };
  }
  const held = holdings(before);
  const holds = holdings(after);
  const changes: { change: Change; worth: Decimal | null }[] = [];
  let spam = 0;
  for (const key of new Set([...holds.keys(), ...held.keys()])) {
    const difference = (holds.get(key)?.balance ?? 0n) - (held.get(key)?.balance ?? 0n);
    const position = (holds.get(key) ?? held.get(key))?.position;
    if (!position || difference === 0n) continue;
    if (position.isSpam) {
      if (!held.has(key)) spam += 1;
      continue;
    }
    const { chainId, tokenAddress, symbol, decimals } = position;
    const amount = decimals === null ? null : toText({ units: difference, scale: decimals });
    changes.push({ change: { chainId, tokenAddress, symbol, amount }, worth: worth(amount, position) });
  }
  changes.sort((a, b) => greaterFirst(a.worth, b.worth));
  return {
    held: changes.map(({ change }) => change),
    spam,
    total: subtract(after.totalValueUsd, before.totalValueUsd),
    first: null,
  };
}

/** The balances by chain and token, those of all wallets together: what moves between them is no change. */
function holdings(portfolio: Portfolio): Map<string, Holding> {
  const found = new Map<string, Holding>();
  for (const position of portfolio.positions) {
    const key = `${position.chainId}:${position.tokenAddress}`;
    const balance = (found.get(key)?.balance ?? 0n) + BigInt(position.balance);
    found.set(key, { position, balance });
  }
  return found;
}

/** What the change is worth, for the order only; null where that is unknown, or not to be trusted. */
function worth(amount: Decimal | null, position: Position): Decimal | null {
  if (amount === null || position.priceUsd === null || !position.isCounted) return null;
  return absolute(multiply(amount, position.priceUsd));
}

function greaterFirst(a: Decimal | null, b: Decimal | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return compare(b, a);
}
