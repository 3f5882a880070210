#!/usr/bin/env node
// The npm compiler as forge expects a native one: a version line, and standard JSON on stdin.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");

if (process.argv.includes("--version")) {
  const version = solc.version().replace(".Emscripten.clang", ".Linux.g++");
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else {
  // forge hands over every source it found, imports included: nothing is looked up here.
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
