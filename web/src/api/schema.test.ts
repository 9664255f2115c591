import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

test("the API's types are those of its description", async () => {
  const check = promisify(execFile)("npm", ["run", "--silent", "api-types", "--", "--check"]);
  await expect(check, "src/api/schema.ts is old: make api-types").resolves.toBeDefined();
});
