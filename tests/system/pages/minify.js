// Writes what the tracking page sends of its scripts: node minify.js. With --check it only says whether that is up to date.

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { transform } from "esbuild";

const FOLDER = new URL("../../../src/http/assets/ui/", import.meta.url);
const SOURCES = ["page.js", "reading.js", "lookups.js", "card.js", "follow.js", "track.js"];
const file = new URL("track.min.js", FOLDER);

const texts = await Promise.all(SOURCES.map((name) => readFile(new URL(name, FOLDER), "utf8")));
const source = texts.join("");
const { code } = await transform(source, { minify: true, format: "iife", charset: "utf8", target: "es2022" });
const hash = createHash("sha256").update(source).digest("hex");
const minified = `// Made by tests/system/pages/minify.js from ${SOURCES.join(", ")}: ${hash}\n${code}`;
if (!process.argv.includes("--check")) {
  await writeFile(file, minified);
} else if ((await readFile(file, "utf8")) !== minified) {
  throw new Error("track.min.js is not what its sources give: run node minify.js");
}
