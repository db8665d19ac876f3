// Writes what the tracking page sends of its scripts and styles: node minify.js. With --check it only says whether that is up to date.

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { transform } from "esbuild";

const FOLDER = new URL("../../../src/http/assets/ui/", import.meta.url);
const SCRIPTS = ["page.js", "reading.js", "lookups.js", "card.js", "track.js"];
/** What only some answers need: the page loads it by itself. */
const LATER = ["key.js", "patient.js", "usual.js", "limited.js", "long.js", "follow.js", "share.js"];
const STYLES = ["page.css", "track.css"];

const sha256 = (text, encoding) => createHash("sha256").update(text).digest(encoding);
const read = async (names) => (await Promise.all(names.map((name) => readFile(new URL(name, FOLDER), "utf8")))).join("");
const minify = async (source, options) => (await transform(source, { minify: true, charset: "utf8", ...options })).code;
const script = (source) => minify(source, { format: "iife", target: "es2022" });

/** Names that a script declares at its top, and of these those that another one has. Variables cannot be shared. */
const declared = (source) => [...source.matchAll(/^(?:async )?(?:function\*?|const|class) (\w+)/gm)].map(([, name]) => name);
const named = (source) => new Set(source.replace(/^ *(\/\/|\/?\*).*$/gm, "").match(/(?<![\w"'-]|(?<!\.\.)\.)\w+/g));
const shared = (from, by) => declared(from).filter((name) => named(by).has(name));

/** Texts have a number for a name, in the order in which they are first used. */
const keys = [];
function numbered(source) {
  return source.replace(/\b(t|pieces)\("(\w+)"/g, (_, call, key) => {
    if (!keys.includes(key)) keys.push(key);
    return `${call}(${keys.indexOf(key)}`;
  });
}

async function write(name, made) {
  const file = new URL(name, FOLDER);
  if (!process.argv.includes("--check")) {
    await writeFile(file, made);
  } else if ((await readFile(file, "utf8")) !== made) {
    throw new Error(`${name} is not what its sources give: run node minify.js`);
  }
}
const made = (names, source) => `Made by tests/system/pages/minify.js from ${names.join(", ")}: ${sha256(source, "hex")}`;

const [source, later, style] = await Promise.all([read(SCRIPTS), read(LATER), read(STYLES)]);
// The two scripts give each other their functions and constants by place.
const [given, taken] = [shared(source, later), shared(later, source)].map((names) => names.join());
const laterCode = await script(`const [${given}] = waybill.given; ${numbered(later)}; waybill.take([${taken}]);`);
const code = await script(`
  let ${taken};
  const LATER_INTEGRITY = "sha256-${sha256(laterCode, "base64")}";
  ${numbered(source)};
  globalThis.waybill = { given: [${given}], take: (given) => ([${taken}] = given) };
`);
await write("later.min.js", laterCode);
await write("track.min.js", `// ${made([...SCRIPTS, ...LATER], source + later)}\n// Texts: ${keys.join(" ")}\n${code}`);
await write("track.min.css", `/* ${made(STYLES, style)} */\n${await minify(style, { loader: "css" })}`);
