// A server with the data of `data.js`, a browser, and what every page is held to.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import { chromium } from "playwright-core";
import { CSV } from "./data.js";

const AXE = createRequire(import.meta.url)("axe-core").source;
/** How long anything may take: far more than it does, on a busy machine too. */
const DEADLINE_MS = 30000;
export const NARROW = 320;
export const WIDE = 1280;
export const PAGE_BYTES_MAX = 40000;
export const DESK_BYTES_MAX = 72000;

/** Starts a server of its own, with `more` flags; `end` ends it. `data` is its file. */
export async function serve(...more) {
  const dir = await mkdtemp(join(tmpdir(), "waybill-pages-"));
  const data = join(dir, "data.csv");
  await writeFile(data, CSV);
  const flags = ["serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "off", "--log-format", "json", "--threads", "1", ...more];
  // The server takes it for a misspelled setting.
  const { WAYBILL_BIN, ...env } = process.env;
  const server = spawn(WAYBILL_BIN, flags, { env, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const end = async () => {
    server.kill("SIGKILL");
    await ended;
    await rm(dir, { recursive: true });
  };
  let address;
  const log = createInterface(server.stderr);
  for await (const line of log) {
    const { fields } = JSON.parse(line);
    if (fields.message === "listening") address = fields.public;
    if (fields.message === "serving") break;
  }
  assert.ok(address, "the server ended before it served");
  // Whatever else it logs must not fill the pipe.
  server.stderr.resume();
  return { url: `http://${address}`, data, end };
}

/** The browser and the server of a test file, once it runs. */
export const shared = { browser: null, url: process.env.BASE_URL };
let end = () => {};
before(async () => {
  shared.browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  if (!shared.url) ({ url: shared.url, end } = await serve());
});
after(async () => {
  await shared.browser?.close();
  await end();
});

/**
 * Opens a page for the time of `look`, which gets it and the requests it makes, and holds it to what no page may do:
 * ask anybody else, run anything of the data, break its policy, fail. `failing` allows for answers that are errors,
 * `tampered` gets what the browser says of scripts that are not those they should be, `prepare` gets the page before it
 * is there.
 */
export async function visit(path, options, look) {
  const { width = WIDE, colorScheme = "light", locale = "en-GB", failing = false, tampered, javaScriptEnabled = true, prepare, url = shared.url } = options;
  const context = await shared.browser.newContext({ viewport: { width, height: 800 }, colorScheme, javaScriptEnabled, reducedMotion: "reduce", locale });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  const requests = [];
  const complaints = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => complaints.push(`dialog ${dialog.message()}`));
  page.on("console", (message) => {
    const expected = failing && message.text().startsWith("Failed to load resource");
    if (tampered && message.text().includes("integrity")) tampered.push(message.text());
    else if (!expected) complaints.push(message.text());
  });
  if (javaScriptEnabled) {
    await page.addInitScript(() => {
      window.violations = [];
      addEventListener("securitypolicyviolation", ({ violatedDirective }) => window.violations.push(violatedDirective));
    });
  }
  try {
    if (prepare) await prepare(page);
    await page.goto(url + path);
    await look(page, requests);
    assert.deepEqual(complaints, []);
    const strangers = requests.filter((request) => !request.startsWith(`${url}/`) && !request.startsWith("data:"));
    assert.deepEqual(strangers, []);
    if (javaScriptEnabled) {
      const { ran, violations } = await page.evaluate(() => ({ ran: window.ran, violations: window.violations }));
      assert.deepEqual({ ran, violations }, { ran: undefined, violations: [] });
    }
  } finally {
    await context.close();
  }
}

/** Checks that the page as it is now is usable by all, light and dark, and not wider than its window. */
export async function assertAccessible(page) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(AXE);
    const violations = await page.evaluate(async () => (await axe.run()).violations);
    const found = violations.map(({ id, nodes }) => `${colorScheme} ${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" ")}`);
    assert.deepEqual(found, []);
  }
  await assertFits(page);
}

export async function assertFits(page) {
  const widths = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(widths[0] <= widths[1], `${widths[0]} px wide in a window of ${widths[1]}`);
  // What a card cuts off does not widen the page.
  const cut = await page.evaluate(() => {
    const cuts = (one) => getComputedStyle(one).overflowX === "hidden" && getComputedStyle(one).clipPath === "none";
    const all = [...document.querySelectorAll("main *")];
    return all.filter((one) => cuts(one) && one.scrollWidth > one.clientWidth + 1).map((one) => one.outerHTML.slice(0, 100));
  });
  assert.deepEqual(cut, []);
}

/** Waits until what `read` gives is `expected`. */
export async function eventually(read, expected) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const got = await read();
    if (JSON.stringify(got) === JSON.stringify(expected) || Date.now() > end) return assert.deepEqual(got, expected);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Whatever holds the focus, in a few words. */
export const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim() || document.activeElement.tagName);
