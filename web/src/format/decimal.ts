/** Exact arithmetic on decimal strings such as "-12.50": an integer and the number of its digits after the point. */

export interface Exact {
  units: bigint;
  scale: number;
}

const NOTATION = /^([+-]?)(\d+)(?:\.(\d*))?$/;

/** Throws on anything but plain notation: "1e5" or "" is not a number that the API sends. */
export function parse(value: string): Exact {
  const match = NOTATION.exec(value);
  if (!match) throw new RangeError(`Not a decimal in plain notation: ${value.slice(0, 40)}`);
  const [, sign, whole = "", fraction = ""] = match;
  const units = BigInt(whole + fraction);
  return { units: sign === "-" ? -units : units, scale: fraction.length };
}

export function toText({ units, scale }: Exact): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, "");
  return `${units < 0n ? "-" : ""}${whole}${fraction ? `.${fraction}` : ""}`;
}

/** Below 0, 0 or above 0, as a sort wants it. */
export function compare(a: string, b: string): number {
  // A float is off by less than a billionth of itself, so a larger difference is a true one. Sorting asks this often.
  const [x, y] = [Number(a), Number(b)];
  if (Math.abs(x - y) > 1e-9 * Math.max(Math.abs(x), Math.abs(y))) return x < y ? -1 : 1;
  const [left, right] = aligned(a, b);
  return left < right ? -1 : left > right ? 1 : 0;
}

export function add(a: string, b: string): string {
  const [left, right, scale] = aligned(a, b);
  return toText({ units: left + right, scale });
}

/** Of any number of values: each is parsed once. */
export function sum(values: Iterable<string>): string {
  const byScale = new Map<number, bigint>();
  for (const value of values) {
    const { units, scale } = parse(value);
    byScale.set(scale, (byScale.get(scale) ?? 0n) + units);
  }
  const scale = Math.max(0, ...byScale.keys());
  let total = 0n;
  for (const [own, units] of byScale) total += units * 10n ** BigInt(scale - own);
  return toText({ units: total, scale });
}

export function subtract(a: string, b: string): string {
  const [left, right, scale] = aligned(a, b);
  return toText({ units: left - right, scale });
}

export function multiply(a: string, b: string): string {
  const [left, right] = [parse(a), parse(b)];
  return toText({ units: left.units * right.units, scale: left.scale + right.scale });
}

export function sign(value: string): -1 | 0 | 1 {
  const { units } = parse(value);
  return units < 0n ? -1 : units > 0n ? 1 : 0;
}

export function absolute(value: string): string {
  return value.replace(/^[+-]/, "");
}

/** `part` of `whole` in percent, rounded half away from zero; null of a whole that is zero. */
export function percentOf(part: string, whole: string, digits = 1): string | null {
  const [left, right] = aligned(part, whole);
  if (right === 0n) return null;
  return toText({ units: divided(left * 100n * 10n ** BigInt(digits), right), scale: digits });
}

/** Rounded half away from zero to so many digits after the point. */
export function round(value: string, digits: number): string {
  const { units, scale } = parse(value);
  if (scale <= digits) return toText({ units, scale });
  return toText({ units: divided(units, 10n ** BigInt(scale - digits)), scale: digits });
}

function divided(numerator: bigint, denominator: bigint): bigint {
  const negative = numerator < 0n !== denominator < 0n;
  const [n, d] = [numerator < 0n ? -numerator : numerator, denominator < 0n ? -denominator : denominator];
  const quotient = (n * 2n + d) / (d * 2n);
  return negative ? -quotient : quotient;
}

function aligned(a: string, b: string): [bigint, bigint, number] {
  const [left, right] = [parse(a), parse(b)];
  const scale = Math.max(left.scale, right.scale);
  return [left.units * 10n ** BigInt(scale - left.scale), right.units * 10n ** BigInt(scale - right.scale), scale];
}
