/** Token names are written by strangers: what of them is shown. */

/** Controls, formats (bidirectional ones among them), lone surrogates, private use, and line and paragraph separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
/** A letter with more marks than any script needs grows over its neighbours. */
const STACKED_MARKS = /(\p{M}{2})\p{M}+/gu;

/** Without what is invisible or turns text around, cut at `max` characters with an ellipsis. */
export function safeText(text: string | null | undefined, max = 40): string {
  // More than is ever shown is not looked at, so that a name of a megabyte costs nothing.
  const clean = (text ?? "")
    .slice(0, 20 * max)
    .replace(UNSEEN, "")
    .replace(STACKED_MARKS, "$1")
    .replace(/\s+/gu, " ")
    .trim();
  const characters = [...clean];
  return characters.length <= max
    ? clean
    : `${characters
        .slice(0, max - 1)
        .join("")
        .trimEnd()}…`;
}

/** All of it, with what is invisible or turns text around written as its number: for hovers. */
export function escaped(text: string): string {
  return text.replace(UNSEEN, (unseen) => `\\u{${unseen.codePointAt(0)?.toString(16)}}`);
}

/** "0x1234…abcd". */
export function shortAddress(address: string): string {
  return address.length <= 12 ? address : `${address.slice(0, 6)}…${address.slice(-4)}`;
}

/** "1 token", "3 tokens". */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

/** "Polygon", "Polygon and Base", "Polygon, Base and Optimism". */
export function list(names: readonly string[]): string {
  return names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** As the first word of a sentence. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
