// Compiles every contract beside this file's packages into one JSON object on stdout:
// {contract name: creation bytecode as 0x-hex}. A compiler error or warning ends it with code 1.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const [contracts, modules] = process.argv.slice(2);
const solc = require(path.join(modules, "solc"));

const names = fs.readdirSync(contracts).filter((name) => name.endsWith(".sol"));
const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    names.map((name) => [name, { content: fs.readFileSync(path.join(contracts, name), "utf8") }]),
  ),
  settings: {
    optimizer: { enabled: true },
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const readImport = (name) => ({ contents: fs.readFileSync(path.join(modules, name), "utf8") });
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));

if (output.errors) {
  console.error(output.errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
const bytecode = Object.fromEntries(
  names.map((name) => {
    const contract = path.basename(name, ".sol");
    return [contract, "0x" + output.contracts[name][contract].evm.bytecode.object];
  }),
);
console.log(JSON.stringify(bytecode));
