/** What the page reads anew, and when. */
import { expect, test } from "vitest";
import { ok } from "../../fixtures/fixture";
import { minutesAgo } from "../../fixtures/positions";
import { secondsAgo, status } from "../../fixtures/replies";
import { visit } from "../../testing/visit";

const STATUS = "GET /api/v1/sync/status";

test("a sync that found nothing changed is noticed by the status, and the portfolio is read once", async () => {
  let lastSyncAt = minutesAgo(10);
  const { server, store } = await visit(null, "fresh", { [STATUS]: () => ok(status(null, { lastSyncAt })) });
  const reads = () => server.asked.filter(({ path }) => path.split("?")[0] === "/api/v1/portfolio").length;
  await store.begin();
  // Once it is connected it reads what it may have missed.
  await expect.poll(() => store.read().connection).toBe("live");
  await store.refresh();
  const before = reads();
  expect(before).toBeGreaterThan(0);

  lastSyncAt = secondsAgo(0);
  await store.refreshStatus();
  await expect.poll(reads).toBe(before + 1);

  await store.refreshStatus();
  expect(reads()).toBe(before + 1);
});
