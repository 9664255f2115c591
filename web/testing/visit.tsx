/** A component as a user meets it: rendered, with a store behind it that asks a real server. */
import { render } from "@testing-library/react";
import { type UserEvent, userEvent } from "@testing-library/user-event";
import type { ReactNode } from "react";
import { onTestFinished } from "vitest";
import type { Fixture } from "../fixtures/fixture";
import { STATES } from "../fixtures/states";
import { readToken } from "../src/api/session";
import { StoreContext } from "../src/state/hooks";
import { Store } from "../src/state/store";
import { FixtureServer } from "./server";

declare const jsdom: { reconfigure: (options: { url: string }) => void };
const fetchAbsolute = globalThis.fetch;

export interface Visit {
  server: FixtureServer;
  store: Store;
  user: UserEvent;
}

/**
 * Shows a component in a state of the page; what it leaves is cleaned up after the test.
 *
 * @param state Its name in `fixtures/states.ts`, or a fixture.
 * @param changes Replies that differ from the state's.
 */
export async function visit(
  component: ReactNode,
  state: string | Fixture = "fresh",
  changes: FixtureServer["answers"] = {},
): Promise<Visit> {
  const fixture = typeof state === "string" ? STATES[state] : state;
  if (!fixture) throw new Error(`There is no state ${state}.`);
  const server = new FixtureServer(fixture);
  Object.assign(server.answers, changes);
  const url = await server.start();
  jsdom.reconfigure({ url });
  localStorage.clear();
  // A browser resolves addresses against the page's own.
  globalThis.fetch = (input, init) => fetchAbsolute(new URL(String(input), url), init);
  const session = readToken(server.token);
  if (!session) throw new Error("The token is none.");
  const store = new Store(session);
  const stop = store.start();
  const { unmount } = render(<StoreContext value={store}>{component}</StoreContext>);
  onTestFinished(async () => {
    unmount();
    stop();
    globalThis.fetch = fetchAbsolute;
    await server.stop();
  });
  return { server, store, user: userEvent.setup() };
}
