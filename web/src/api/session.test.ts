import { expect, test } from "vitest";
import { readToken } from "./session";

const token = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;

test("a token says whose it is, what they are and until when", () => {
  const own = token({ sub: "zoë~?>", role: "admin", exp: 1_700_000_000 });
  expect(readToken(own)).toEqual({ token: own, userId: "zoë~?>", isAdmin: true, expiresAt: 1_700_000_000_000 });
  expect(readToken(token({ sub: "ada" }))).toMatchObject({ isAdmin: false, expiresAt: null });
});

test.each(["", "x", "a.b.c", token({}), token({ sub: 7 }), token(null)])("%j is no session", (text) => {
  expect(readToken(text)).toBeNull();
});
