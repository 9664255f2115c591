/** The sync panel in every state that a user sees, against a server that answers from fixtures. */
import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { ok, refusal } from "../../fixtures/fixture";
import { minutesAgo } from "../../fixtures/positions";
import { CHAINS, id, secondsAgo, status } from "../../fixtures/replies";
import { visit } from "../../testing/visit";
import type { SyncStatus } from "../api/schema";
import { SyncPanel } from "./SyncPanel";

const TRIGGER = "POST /api/v1/sync/trigger";
const STATUS = "GET /api/v1/sync/status";
const started = {
  syncOperationId: id(50),
  chains: CHAINS.map(({ chainId }) => chainId),
  startedAt: secondsAgo(0),
  syncType: "manual",
};
const completed = {
  syncOperationId: id(50),
  processingTime: 900,
  complete: true,
  failedChains: [],
  completedAt: secondsAgo(0),
};
const heard = { syncOperationId: id(50), reason: null, code: null, retryAt: null };
const withStatus = (changes: Partial<SyncStatus>) => ({ [STATUS]: ok(status(null, changes)) });
const running = {
  isRunning: true,
  runningOperation: { syncOperationId: id(50), trigger: "manual", startedAt: secondsAgo(1) },
};

const panel = () => screen.getByRole("region", { name: "Sync" });
const syncButton = () => screen.findByRole("button", { name: "Sync now" });
const marks = () =>
  within(panel())
    .getAllByRole("listitem")
    .map(({ title }) => title);

test("before anything has answered a sync can be asked for", async () => {
  await visit(<SyncPanel />, "loading");
  expect(await syncButton()).not.toHaveAttribute("aria-disabled", "true");
  expect(panel()).not.toHaveTextContent("left");
});

test("at rest it says what is left and what comes by itself", async () => {
  await visit(<SyncPanel />);
  await waitFor(() => expect(panel()).toHaveTextContent("4 of 5 syncs left · automatic sync in 1"));
});

test("a double click asks once, and the marks follow the chains to the end", async () => {
  const { server } = await visit(<SyncPanel />);
  await waitFor(() => expect(panel()).toHaveTextContent("syncs left"));
  const button = await syncButton();
  // Both before the page has drawn anything between them.
  act(() => {
    button.click();
    button.click();
  });
  Object.assign(server.answers, withStatus(running));
  await server.emit("sync_started", started);
  await server.emit("sync_progress", { ...heard, chainId: 8453, state: "done" });
  await waitFor(() =>
    expect(marks()).toEqual([
      "Ethereum: being read",
      "Polygon: being read",
      "Optimism: being read",
      "Arbitrum: being read",
      "Base: read",
    ]),
  );
  expect(within(panel()).getByRole("button", { name: "Syncing" })).toHaveAttribute("aria-disabled", "true");

  Object.assign(server.answers, withStatus({}));
  await server.emit("sync_completed", completed);
  expect(await syncButton()).toBeVisible();
  await waitFor(() => expect(panel()).toHaveTextContent("Nothing changed"));
  expect(server.of(TRIGGER)).toHaveLength(1);
  expect(server.of(TRIGGER)[0]?.headers["idempotency-key"]).toMatch(/^[0-9a-f]{32}$/);
});

test("the keyboard asks for a sync as the pointer does", async () => {
  const { server, user } = await visit(<SyncPanel />);
  await syncButton();
  await user.tab();
  expect(await syncButton()).toHaveFocus();
  await user.keyboard("{Enter}");
  await waitFor(() => expect(server.of(TRIGGER)).toHaveLength(1));
});

test("every chain that a sync reads has a mark, however many there are", async () => {
  const more = [56, 43114, 59144, 130].map((chainId) => ({ chainId, name: `Network ${chainId}` }));
  const { server } = await visit(<SyncPanel />, "fresh", withStatus({ ...running, chains: [...CHAINS, ...more] }));
  await server.emit("sync_started", started);
  await waitFor(() => expect(marks()).toHaveLength(9));
  expect(marks().at(-1)).toBe("Network 130: being read");
});

test("a chain that fails meanwhile says why, by its code", async () => {
  const { server } = await visit(<SyncPanel />, "fresh", withStatus(running));
  await server.emit("sync_started", started);
  const reason = "alchemy refused with status 429, its rate limit is reached";
  await server.emit("sync_progress", { ...heard, chainId: 137, state: "failed", reason, code: "rate_limited" });
  await waitFor(() => expect(panel()).toHaveTextContent("Polygon did not answer: it was asked too often."));
  expect(panel()).not.toHaveTextContent("alchemy");
});

test("a partial sync names what was not read and since when its amounts stand", async () => {
  const { server } = await visit(<SyncPanel />, "fresh", withStatus(running));
  await server.emit("sync_started", started);
  await waitFor(() => expect(marks()).toHaveLength(5));
  Object.assign(server.answers, withStatus({}));
  const staleSince = minutesAgo(52);
  const failedChains = [
    { chainId: 137, reason: "It did not answer in full.", code: "timeout" as const, staleSince },
    { chainId: 10, reason: "Its block is too old.", staleSince: null },
  ];
  await server.emit("sync_completed", { ...completed, complete: false, failedChains });
  await waitFor(() =>
    expect(panel()).toHaveTextContent("Polygon did not answer: it took too long. Its amounts are as of"),
  );
  expect(panel()).toHaveTextContent("Optimism did not answer: Its block is too old. Its amounts are not known yet.");
});

test("a failed sync says that the amounts stay, and when it is tried again", async () => {
  const { server } = await visit(<SyncPanel />, "fresh", withStatus(running));
  await server.emit("sync_started", started);
  await waitFor(() => expect(marks()).toHaveLength(5));
  Object.assign(server.answers, withStatus({}));
  const error = { code: "no_chain_read", message: "No chain could be read.", retryAt: null };
  await server.emit("sync_failed", { syncOperationId: id(50), error, failedAt: secondsAgo(0) });
  const alert = await within(panel()).findByText("No chain answered.");
  expect(alert).toBeVisible();
  expect(panel()).toHaveTextContent("Your amounts stay as last read. The next automatic sync tries again.");
});

test("a request that nobody answers can be made again, as the same request", async () => {
  const { server, user } = await visit(<SyncPanel />, "fresh", { [TRIGGER]: "unreachable" });
  await user.click(await syncButton());
  await waitFor(() => expect(panel()).toHaveTextContent("The server can’t be reached."));
  delete server.answers[TRIGGER];
  await user.click(within(panel()).getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(server.of(TRIGGER)).toHaveLength(2));
  const keys = server.of(TRIGGER).map(({ headers }) => headers["idempotency-key"]);
  expect(keys[0]).toBe(keys[1]);
});

test("when no sync is left the button says until when, and asks nothing", async () => {
  const { server, user } = await visit(<SyncPanel />, "limit");
  await waitFor(() =>
    expect(panel()).toHaveTextContent(/All 5 syncs are used\. The next one comes back at \d\d:\d\d, in /),
  );
  const button = await syncButton();
  expect(button).toHaveAttribute("aria-disabled", "true");
  expect(button).toHaveAccessibleDescription(/^All 5 syncs are used\./);
  await user.click(button);
  expect(server.of(TRIGGER)).toEqual([]);
});

test("an account whose syncs are switched off is told so, and offered no second try", async () => {
  const { user } = await visit(<SyncPanel />, "fresh", { [TRIGGER]: refusal(409, "disabled", "Syncs are disabled.") });
  await user.click(await syncButton());
  await waitFor(() => expect(panel()).toHaveTextContent("Syncs are switched off for this account."));
  expect(within(panel()).queryByRole("button", { name: "Try again" })).toBeNull();
});

test("while all syncs are paused it says since when and why", async () => {
  const { server } = await visit(<SyncPanel />, "paused");
  await waitFor(() =>
    expect(panel()).toHaveTextContent(/All syncs are paused since \d\d:\d\d: Moving to a new database\./),
  );
  expect(await syncButton()).toHaveAttribute("aria-disabled", "true");
  expect(server.of(TRIGGER)).toEqual([]);
});
