/** What can be told of an address without asking: its shape. The server checks its EIP-55 checksum, too. */

/** What is wrong with the text as an address, as a sentence; null where nothing is. */
export function shapeProblem(text: string, registered: readonly string[] = []): string | null {
  const address = text.trim();
  if (address === "") return "Paste an address, such as 0x followed by 40 digits and letters.";
  if (/^[\w-]+(\.[\w-]+)*\.eth$/i.test(address)) return "Names are not looked up. Paste the address behind it.";
  if (!/^0x/i.test(address)) return "An address begins with 0x.";
  const digits = address.slice(2);
  const odd = digits.match(/[^0-9a-f]/i)?.[0];
  if (odd !== undefined) {
    return /\s/.test(odd)
      ? "There is a space or a line break in it: one address at a time."
      : `“${odd}” can’t be part of an address: after 0x there are only 0–9 and a–f.`;
  }
  if (digits.length < 40) return `It is ${count(40 - digits.length)} short: an address has 40 after 0x.`;
  if (digits.length > 40) return `It is ${count(digits.length - 40)} too long: an address has 40 after 0x.`;
  if (registered.includes(address.toLowerCase())) return "This address is in your portfolio already.";
  return null;
}

function count(characters: number): string {
  return characters === 1 ? "1 character" : `${characters} characters`;
}
