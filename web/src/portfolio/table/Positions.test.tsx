/** The table in every state that a user sees, against a server that answers from fixtures. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import type { Fixture } from "../../../fixtures/fixture";
import { ok, refusal } from "../../../fixtures/fixture";
import { FLAGGED, PRICED, position, SPAM, UNPRICED } from "../../../fixtures/positions";
import { CHAINS, portfolio } from "../../../fixtures/replies";
import { manyState, STATES } from "../../../fixtures/states";
import { visit } from "../../../testing/visit";
import { usePortfolio } from "../../state/hooks";
import { Positions } from "./Positions";

const PORTFOLIO = "GET /api/v1/portfolio";
const WITH_SPAM = "GET /api/v1/portfolio?includeSpam=true";

function Shown() {
  const { portfolio: held } = usePortfolio();
  return held && <Positions portfolio={held} />;
}

async function visitTable(state: string | Fixture = "fresh", changes = {}) {
  const visited = await visit(<Shown />, state, changes);
  return { ...visited, table: await screen.findByRole("treegrid", { name: "Tokens" }) };
}
const rows = () => screen.getAllByRole("row").slice(1);
/** The row of a text that only one has. By role and name it would be found too, but a name is dear to compute. */
function row(text: string): HTMLElement {
  const found = screen.getByText(text).closest<HTMLElement>("[role=row]");
  if (!found) throw new Error(`${text} stands in no row.`);
  return found;
}
const symbols = () => rows().map(({ textContent }) => textContent ?? "");

test("what counts, what has no sure price and what is hidden stand apart", async () => {
  await visitTable();
  expect(row("In the total")).toHaveAttribute("aria-expanded", "true");
  expect(row("In the total")).toHaveTextContent(`${PRICED.length} · $71,`);
  expect(row("Hidden")).toHaveTextContent(`${SPAM.length} · they look like spam`);
  expect(row("Hidden")).toHaveAttribute("aria-expanded", "false");
  expect(screen.getByText(`${PRICED.length + UNPRICED.length + FLAGGED.length} tokens`)).toBeVisible();
});

test("a chain that did not answer says as of when its amounts are", async () => {
  await visitTable("stale", {
    [PORTFOLIO]: ok(
      portfolio([{ ...(PRICED[0] as (typeof PRICED)[0]), chainId: 137, stale: true }], {
        chains: [
          {
            chainId: 137,
            name: "Polygon",
            status: "stale",
            syncedAt: "2025-11-03T11:12:00Z",
            error: null,
            errorCode: null,
          },
        ],
      }),
    ),
  });
  expect(row("ETH")).toHaveTextContent(/Polygonas of /);
});

test("a chain that the page has no colour for is shown by the name that the API gives", async () => {
  const held = portfolio(
    [position({ symbol: "XDAI", name: "xDai", chainId: 100, token: "0x1", amount: "2", price: "1" })],
    {
      chains: [
        {
          chainId: 100,
          name: "Gnosis",
          status: "fresh",
          syncedAt: "2025-11-03T12:04:00Z",
          error: null,
          errorCode: null,
        },
      ],
    },
  );
  const { user } = await visitTable("fresh", { [PORTFOLIO]: ok(held) });
  expect(row("XDAI")).toHaveTextContent("Gnosis");
  const select = screen.getByRole("combobox", { name: "Chain" });
  await waitFor(() =>
    expect(
      within(select)
        .getAllByRole("option")
        .map(({ textContent }) => textContent),
    ).toEqual(["All chains", ...CHAINS.map(({ name }) => name), "Gnosis"]),
  );
  await user.selectOptions(select, "Ethereum");
  expect(await screen.findByText("None of these match.")).toBeVisible();
});

test("a search that finds nothing says so, and clearing it shows all again", async () => {
  const { user } = await visitTable();
  const field = screen.getByRole("searchbox", { name: "Search tokens by name, symbol or contract" });
  await user.type(field, "no such token");
  await waitFor(() => expect(symbols().filter((text) => text === "None of these match.")).toHaveLength(2));
  expect(screen.getByText(/^0 of \d+ tokens$/)).toBeVisible();
  await user.clear(field);
  await waitFor(() => expect(row("WBTC")).toBeVisible());
});

test("the hidden ones are read when their group is opened, with the reason of each", async () => {
  const { server, user } = await visitTable();
  expect(server.of(WITH_SPAM)).toEqual([]);
  await user.click(row("Hidden"));
  await waitFor(() => expect(symbols().filter((text) => text.includes("link"))).not.toEqual([]));
  expect(server.of(WITH_SPAM)).toHaveLength(1);
  expect(
    rows().filter(({ textContent }) => SPAM.some(({ symbol }) => symbol && textContent?.includes(symbol))),
  ).not.toEqual([]);
});

test.each([
  ["silent" as const, "Reading the list"],
  [refusal(500, "internal", "It could not be read."), "The list can't be read now."],
])("while the hidden ones are not read it says so", async (reply, words) => {
  const { user } = await visitTable("fresh", { [WITH_SPAM]: reply });
  await user.click(row("Hidden"));
  expect(await screen.findByText(words)).toBeVisible();
});

test("a head sorts, and a second press turns the order", async () => {
  const { user } = await visitTable();
  const head = screen.getByRole("columnheader", { name: "Token" });
  await user.click(within(head).getByRole("button"));
  expect(head).toHaveAttribute("aria-sort", "ascending");
  const first = symbols()[1];
  await user.click(within(head).getByRole("button"));
  expect(head).toHaveAttribute("aria-sort", "descending");
  expect(symbols()[1]).not.toBe(first);
});

test("the keys move over the rows, open one and close it again", async () => {
  const { table, user } = await visitTable();
  const reachable = () => rows().filter(({ tabIndex }) => tabIndex === 0);
  expect(reachable()).toEqual([row("In the total")]);
  row("In the total").focus();
  await user.keyboard("{ArrowDown}");
  await waitFor(() => expect(document.activeElement).toBe(rows()[1]));
  expect(reachable()).toEqual([document.activeElement]);

  await user.keyboard("{Enter}");
  const detail = await within(table).findByRole("region", { name: "Why this price?" });
  expect(document.activeElement).toHaveAttribute("aria-expanded", "true");
  await user.keyboard("{Escape}");
  expect(detail).not.toBeInTheDocument();

  await user.keyboard("{Home}{Enter}");
  await waitFor(() => expect(row("In the total")).toHaveAttribute("aria-expanded", "false"));
});

test("of thousands of rows only those in sight are in the document, and the last one is a key away", async () => {
  const { table, user } = await visitTable(manyState());
  const all = Number(table.getAttribute("aria-rowcount"));
  expect(all).toBeGreaterThan(2_000);
  expect(rows().length).toBeLessThan(60);
  row("In the total").focus();
  await user.keyboard("{End}");
  await waitFor(() => expect(Number(document.activeElement?.getAttribute("aria-rowindex"))).toBe(all));
  expect(rows().length).toBeLessThan(60);
});

test("a hostile name is cut and turns no text around", async () => {
  await visitTable(STATES.hostile);
  expect(screen.getByRole("treegrid").textContent).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/u);
});
