/** How numbers are shown. `Intl.NumberFormat` takes decimal strings and keeps all their digits. */
import { absolute, compare, parse, round, sign, toText } from "./decimal";

const LOCALE = "en-US";
export const UNKNOWN = "unknown";

/** The library's type does not know all decimal strings; the language does (ECMA-402, NumberFormat v3). */
type Numeric = Intl.StringNumericLiteral;

const dollars = new Intl.NumberFormat(LOCALE, { style: "currency", currency: "USD" });
const grouped = new Intl.NumberFormat(LOCALE);

/** Of "1234.5": whole "$1,234", cents ".50". */
export function usdParts(value: string): { whole: string; cents: string } {
  let whole = "";
  let cents = "";
  for (const part of dollars.formatToParts(value as Numeric)) {
    if (part.type === "decimal" || part.type === "fraction") cents += part.value;
    else whole += part.value;
  }
  return { whole: minus(whole), cents };
}

export function usd(value: string | null): string {
  if (value === null) return UNKNOWN;
  if (sign(value) !== 0 && compare(absolute(value), "0.01") < 0) return sign(value) < 0 ? "−<$0.01" : "<$0.01";
  return minus(dollars.format(value as Numeric));
}

/** With its sign, as a change: "+$12.00". */
export function usdSigned(value: string): string {
  return sign(value) > 0 ? `+${usd(value)}` : usd(value);
}

/** All digits, those before the point in groups: for hovers. */
export function full(value: string): string {
  // Browsers differ in how many digits after the point they format; those need no grouping anyway.
  const [whole = "0", fraction] = absolute(toText(parse(value))).split(".");
  const digits = grouped.format(BigInt(whole)) + (fraction ? `.${fraction}` : "");
  return sign(value) < 0 ? `−${digits}` : digits;
}

/** As many digits as help: six significant ones, and all of the whole part up to a quadrillion. */
export function amount(value: string | null): string {
  if (value === null) return UNKNOWN;
  const shown = significant(value, 6);
  return tiny(shown) ?? huge(shown) ?? full(shown);
}

/** Dollars where there is little room: from a quadrillion on without all their digits. */
export function usdShort(value: string): string {
  const shown = huge(value);
  return shown === null ? usd(value) : `$${shown}`;
}

/** "$1,234.50", "$0.1234", and "$0.0₅12" where five zeros follow the point. */
export function price(value: string | null): string {
  if (value === null) return UNKNOWN;
  if (sign(value) === 0 || compare(absolute(value), "1") >= 0) return minus(dollars.format(value as Numeric));
  const shown = significant(value, 4);
  const text = tiny(shown) ?? full(shown);
  return text.startsWith("−") ? `−$${text.slice(1)}` : `$${text}`;
}

/** One digit after the point: "4.2%"; signed: "+4.2%", "−0.3%". */
export function percent(value: string | null, signed = false): string {
  if (value === null) return UNKNOWN;
  const rounded = round(value, 1);
  if (sign(rounded) === 0) return sign(value) === 0 ? "0%" : "<0.1%";
  const digits = compare(absolute(rounded), "1000") < 0 ? 1 : 0;
  const text = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const shown = minus(text.format(rounded as Numeric));
  return `${signed && sign(value) > 0 ? "+" : ""}${shown}%`;
}

/** Rounded to so many significant digits, but never before the point. */
function significant(value: string, digits: number): string {
  const { units, scale } = parse(value);
  const length = (units < 0n ? -units : units).toString().length;
  return round(value, Math.max(0, scale - (length - digits)));
}

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** "1.23 × 10¹⁵": from 10¹⁵ on, rounded down; null of others. Nobody counts so many digits, and no column holds them. */
function huge(value: string): string | null {
  const match = /^(\d)(\d{2})(\d{13,})(?:\.|$)/.exec(value);
  if (!match) return null;
  const [, first, next = "", rest = ""] = match;
  const fraction = next.replace(/0+$/, "");
  const exponent = small(next.length + rest.length, SUPERSCRIPTS);
  return `${first}${fraction ? `.${fraction}` : ""} × 10${exponent}`;
}

function small(number: number, digits: string): string {
  return [...String(number)].map((digit) => digits[Number(digit)]).join("");
}

/** "0.0000012" as "0.0₅12": from four zeros after the point on; null of others. */
function tiny(value: string): string | null {
  const match = /^(-?)0\.(0{4,})([1-9]\d*)$/.exec(value);
  if (!match) return null;
  const [, negative, zeros = "", digits] = match;
  return `${negative ? "−" : ""}0.0${small(zeros.length, SUBSCRIPTS)}${digits}`;
}

/** A true minus sign, as wide as the plus. */
function minus(text: string): string {
  return text.replace("-", "−");
}
