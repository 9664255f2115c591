// Holds openapi.json against Redocly's linter; prints what it finds and fails on an error or a warning.
import { spawnSync } from "node:child_process";

const here = new URL(".", import.meta.url).pathname;
const cli = new URL(import.meta.resolve("@redocly/cli/package.json")).pathname.replace("package.json", "bin/cli.js");
const { status, stdout, stderr } = spawnSync(
  process.execPath,
  [cli, "lint", "../openapi.json", "--config", "redocly.yaml", "--max-problems", "1000"],
  // It asks for newer versions and counts its uses otherwise.
  { cwd: here, encoding: "utf8", env: { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" } },
);
if (status !== 0) console.error(stdout + stderr);
process.exitCode = status ?? 1;
