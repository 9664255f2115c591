/** The drawer of wallets in every state that a user sees, against a server that answers from fixtures. */
import { screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { ok, refusal } from "../../fixtures/fixture";
import { addressOf, MAIN_WALLET, SECOND_WALLET } from "../../fixtures/positions";
import { wallets } from "../../fixtures/replies";
import type { FixtureServer } from "../../testing/server";
import { visit } from "../../testing/visit";
import { shortAddress } from "../format/text";
import { WalletsDrawer } from "./WalletsDrawer";

const GET = "GET /api/v1/wallets";
const PUT = "PUT /api/v1/wallets";
const NEW = addressOf(7);

/** A server that keeps a list of wallets. */
function keeping(...addresses: string[]): FixtureServer["answers"] {
  let kept = addresses;
  let version = 1;
  return {
    [GET]: () => ok(wallets(kept), { ETag: `"${version}"` }),
    [PUT]: ({ body, headers }) => {
      if (headers["if-match"] !== `"${version}"`) return refusal(412, "changed", "It was changed meanwhile.");
      kept = (body as { wallets: string[] }).wallets;
      version += 1;
      return ok(wallets(kept));
    },
  };
}

const drawer = (changes: FixtureServer["answers"]) =>
  visit(<WalletsDrawer open onClose={() => {}} />, "fresh", changes);
const listed = async () => (await screen.findAllByRole("listitem")).map(({ textContent }) => textContent);
const dialog = () => screen.getByRole("dialog", { name: "Wallets" });

test("until they are read it says that they are", async () => {
  await drawer({ [GET]: "silent" });
  expect(dialog()).toHaveTextContent("Loading…");
});

test("what could not be read is read anew on demand", async () => {
  const { server, user } = await drawer({ [GET]: refusal(503, "unavailable", "The database is away.") });
  expect(await screen.findByText("Your wallets could not be read.")).toBeVisible();
  Object.assign(server.answers, keeping(MAIN_WALLET));
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(dialog()).toHaveTextContent("1 of 10 wallets"));
});

test("without a wallet there is a field for one", async () => {
  await drawer(keeping());
  expect(await screen.findByLabelText("Wallet address")).toBeVisible();
  expect(dialog()).toHaveTextContent("0 of 10 wallets");
});

test("a mistyped address is held back and explained, and a good one is added", async () => {
  const { server, user } = await drawer(keeping(MAIN_WALLET));
  const field = await screen.findByLabelText("Wallet address");
  await user.type(field, `${NEW.slice(0, -1)}{Enter}`);
  expect(await screen.findByRole("alert")).toHaveTextContent("It is 1 character short");
  expect(field).toHaveAttribute("aria-invalid", "true");
  expect(field).toHaveFocus();
  expect(server.of(PUT)).toEqual([]);

  await user.clear(field);
  await user.type(field, `${NEW}{Enter}`);
  await waitFor(() => expect(dialog()).toHaveTextContent("2 of 10 wallets"));
  expect(server.of(PUT).map(({ body }) => body)).toEqual([{ wallets: [MAIN_WALLET, NEW] }]);
  expect(field).toHaveValue("");
});

test("an address that the server refuses says why in its words", async () => {
  const details = [{ field: "wallets", message: "The checksum does not fit: it is mistyped" }];
  const { user } = await drawer({
    ...keeping(MAIN_WALLET),
    [PUT]: refusal(422, "invalid_request", "A field can't be used.", { details }),
  });
  await user.type(await screen.findByLabelText("Wallet address"), `${NEW}{Enter}`);
  expect(await screen.findByText("The checksum does not fit: it is mistyped.")).toBeVisible();
});

test("what another page added meanwhile stays", async () => {
  const answers = keeping(MAIN_WALLET);
  const { server, user } = await drawer(answers);
  await screen.findByLabelText("Wallet address");
  const put = answers[PUT] as (asked: unknown) => ReturnType<typeof ok>;
  server.answers[PUT] = (asked) => {
    server.answers[PUT] = put;
    put({ body: { wallets: [MAIN_WALLET, SECOND_WALLET] }, headers: asked.headers });
    return put(asked);
  };
  await user.type(screen.getByLabelText("Wallet address"), `${NEW}{Enter}`);
  await waitFor(() => expect(dialog()).toHaveTextContent("3 of 10 wallets"));
  expect(await listed()).toHaveLength(3);
});

test("as many as there can be leave no field", async () => {
  await drawer(keeping(...Array.from({ length: 10 }, (_, index) => addressOf(index))));
  await waitFor(() =>
    expect(dialog()).toHaveTextContent("10 wallets are the most there can be. Remove one to add another."),
  );
  expect(screen.queryByLabelText("Wallet address")).toBeNull();
  expect(await listed()).toHaveLength(10);
});

test("removing asks first, with the harmless answer in focus, and keeping gives the focus back", async () => {
  const { server, user } = await drawer(keeping(MAIN_WALLET, SECOND_WALLET));
  const name = `Remove ${shortAddress(SECOND_WALLET)}`;
  await user.click(await screen.findByRole("button", { name }));
  const question = screen.getByRole("group", { name: `${name}?` });
  expect(question).toHaveTextContent("Its tokens and their history leave your portfolio. On the chain nothing happens");
  expect(within(question).getByRole("button", { name: "Keep it" })).toHaveFocus();
  await user.keyboard("{Enter}");
  expect(screen.getByRole("button", { name })).toHaveFocus();
  expect(server.of(PUT)).toEqual([]);

  await user.keyboard("{Enter}");
  await user.click(screen.getByRole("button", { name: "Remove wallet" }));
  await waitFor(() => expect(dialog()).toHaveTextContent("1 of 10 wallets"));
  expect(screen.getByText(`${shortAddress(SECOND_WALLET)} is removed.`)).toHaveAttribute("role", "status");
  expect(server.of(PUT).map(({ body }) => body)).toEqual([{ wallets: [MAIN_WALLET] }]);
});

test("the last wallet leaves an empty portfolio, and one that could not be removed stays", async () => {
  const { user } = await drawer({ ...keeping(MAIN_WALLET), [PUT]: "unreachable" });
  await user.click(await screen.findByRole("button", { name: `Remove ${shortAddress(MAIN_WALLET)}` }));
  expect(dialog()).toHaveTextContent("leave your portfolio, which is empty then.");
  await user.click(screen.getByRole("button", { name: "Remove wallet" }));
  expect(await screen.findByText("It could not be removed. Check your connection and try again.")).toBeVisible();
  expect(await listed()).toHaveLength(1);
});
