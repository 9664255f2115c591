import { screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { PRICED } from "../../../fixtures/positions";
import { visit } from "../../../testing/visit";
import { PriceLineFacts } from "./PriceLineFacts";

const LINES = "/api/v1/portfolio/price-lines";
const held = PRICED.find(({ isCounted, priceSource }) => isCounted && priceSource === "coingecko");

test("an opened row says in words what its price did over a day and a week", async () => {
  if (!held) throw new Error("No fixture is priced by CoinGecko.");
  await visit(<PriceLineFacts position={held} />);
  expect(await screen.findByText("Price over 7 days")).toBeVisible();
  expect(screen.getByText(/^\+11\.1%, between \$.+ and \$.+, by CoinGecko/)).toBeVisible();
  expect(screen.getByText("Price over 24 h")).toBeVisible();
});

test("what is not counted is not asked about", async () => {
  if (!held) throw new Error("No fixture is priced by CoinGecko.");
  const { server } = await visit(<PriceLineFacts position={{ ...held, isCounted: false }} />);
  expect(server.of(`GET ${LINES}`)).toEqual([]);
});

test("without a line the row says nothing of it", async () => {
  if (!held) throw new Error("No fixture is priced by CoinGecko.");
  const none = { status: 200, body: { success: true, data: { lines: [] }, message: null, timestamp: "" } };
  const { server } = await visit(<PriceLineFacts position={held} />, "fresh", { [`GET ${LINES}`]: none });
  await expect.poll(() => server.of(`GET ${LINES}`).length).toBe(1);
  expect(screen.queryByText("Price over 7 days")).toBeNull();
});
