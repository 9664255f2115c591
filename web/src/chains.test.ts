import { expect, test } from "vitest";
import { Chains, chainColour, chainMark } from "./chains";

const ethereum = { chainId: 1, name: "Ethereum" };
const base = { chainId: 8453, name: "Base" };
const gnosis = { chainId: 100, name: "Gnosis" };

test("chains keep the order of the first answer that names them", () => {
  const chains = new Chains([base, ethereum], [gnosis, ethereum]);
  expect(chains.all).toEqual([base, ethereum, gnosis]);
  expect([8453, 1, 100, 7].map((id) => chains.place(id))).toEqual([0, 1, 2, 3]);
});

test("a chain that no answer has named is called by its number", () => {
  expect(new Chains([ethereum]).name(1)).toBe("Ethereum");
  expect(new Chains().name(250)).toBe("Chain 250");
});

test("a chain without a colour of its own has one, and another than the next", () => {
  expect(chainColour(1)).toBe("#4f5fb8");
  expect(chainColour(250)).toMatch(/^hsl\(\d+ 45% 30%\)$/);
  expect(chainColour(250)).not.toBe(chainColour(100));
});

test("white text is readable on the colour of any chain", () => {
  const ids = [
    1,
    10,
    56,
    130,
    137,
    8453,
    42161,
    43114,
    59144,
    ...Array.from({ length: 360 }, (_, id) => 1_000_000 + id),
  ];
  for (const id of ids) expect(contrastWithWhite(rgb(chainColour(id))), String(id)).toBeGreaterThanOrEqual(4.5);
});

test("a mark is the beginning of the name", () => {
  expect(["Ethereum", "BNB Chain", "Ö"].map((name) => chainMark(name))).toEqual(["ET", "BN", "Ö"]);
  expect(chainMark("BNB Chain", 1)).toBe("B");
});

function rgb(colour: string): number[] {
  const hex = /^#(..)(..)(..)$/.exec(colour);
  if (hex) return hex.slice(1).map((part) => Number.parseInt(part, 16) / 255);
  const [hue = 0, saturation = 0, lightness = 0] = colour.match(/\d+/g)?.map(Number) ?? [];
  const spread = (saturation / 100) * Math.min(lightness / 100, 1 - lightness / 100);
  return [0, 8, 4].map((offset) => {
    const turn = (offset + hue / 30) % 12;
    return lightness / 100 - spread * Math.max(-1, Math.min(turn - 3, 9 - turn, 1));
  });
}

/** By WCAG 2. */
function contrastWithWhite(colour: number[]): number {
  const [r = 0, g = 0, b = 0] = colour.map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05);
}
