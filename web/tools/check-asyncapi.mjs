// Holds docs/asyncapi.yaml against AsyncAPI's own parser; prints what it finds and fails on an error or a warning.
import { Parser, fromFile } from "@asyncapi/parser";

const file = new URL("../../docs/asyncapi.yaml", import.meta.url).pathname;
const { diagnostics } = await fromFile(new Parser(), file).parse();
const problems = diagnostics.filter(({ severity }) => severity <= 1);
for (const { message, path, range } of problems) {
  console.error(`docs/asyncapi.yaml:${range.start.line + 1}: ${path.join(".")}: ${message}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;
