// The page as a shopper without a key meets it, on a server that shows everybody the limited view, and the form for keys.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { NARROW, WIDE, assertAccessible, assertFits, focused, serve, visit } from "./harness.js";

const LIMITED = ["--public-view", "limited", "--anonymous", "lookup"];
const PHONE = 390;
/** A folder for pictures of each state, if somebody wants to look at them. */
const { SHOTS } = process.env;

const shoppers = { url: "", end: () => {} };
before(async () => Object.assign(shoppers, await serve(...LIMITED)));
after(() => shoppers.end());

const view = (path, options, look) => visit(path, { url: shoppers.url, ...options }, look);
const answered = (page) => page.locator("#results:not([hidden]):not(.busy)").waitFor();
const postcode = (page) => page.getByLabel("Postcode of the receiver");
const show = (page) => page.getByRole("button", { name: "Show all" }).click();

async function picture(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

/** A server with one key, for `look`. */
async function withKeys(flags, look) {
  const dir = await mkdtemp(join(tmpdir(), "waybill-keys-"));
  const file = join(dir, "keys");
  await writeFile(file, "support:key-of-the-support", { mode: 0o600 });
  const { url, end } = await serve("--api-keys-file", file, ...flags);
  try {
    await look(url);
  } finally {
    await end();
    await rm(dir, { recursive: true });
  }
}

test("a shopper sees status and countries, and with the postcode everything", async () => {
  for (const width of [NARROW, PHONE, WIDE]) {
    for (const colorScheme of ["light", "dark"]) {
      const name = `${width}-${colorScheme}`;
      await view("/?n=TN12345678", { width, colorScheme }, async (page, requests) => {
        await answered(page);
        const card = page.locator("article");
        assert.equal(await card.locator(".status").textContent(), "in-transit");
        assert.deepEqual(await card.locator("dd").allTextContents(), ["Germany", "France"]);
        assert.ok(!(await card.textContent()).includes("Paris"));
        await assertFits(page);
        await picture(page, `${name}-limited`);
        const address = page.url();
        await postcode(page).fill(" 75 001");
        await show(page);
        await card.getByText("Laptop").waitFor();
        assert.match(await card.textContent(), /75001 Paris, France/);
        assert.equal(await focused(page), "TN12345678");
        await assertFits(page);
        await picture(page, `${name}-full`);
        // It is in no address that was asked for or that can be shared.
        const shared = await page.locator("#link").getAttribute("href");
        assert.equal(page.url(), address);
        for (const url of [...requests, shared]) assert.ok(!/75.?.?.?001/.test(url), url);
        assert.equal(await page.evaluate(() => JSON.stringify([sessionStorage, localStorage, history.state])), "[{},{},null]");
      });
    }
  }
});

test("what a postcode does not show is said in plain words", async () => {
  await view("/?n=EXACT&n=RR+12%2C+34-5&n=HOSTILE", { width: PHONE, failing: true }, async (page) => {
    await answered(page);
    const cards = page.locator("article");
    await cards.nth(1).getByText("no postcode is known for this shipment").waitFor();
    assert.equal(await postcode(page).count(), 1);
    for (let tries = 0; tries < 5; tries++) {
      await postcode(page).fill(`100${tries + 1}`);
      await show(page);
      await page.getByText("This is not the postcode of the receiver.").waitFor();
      assert.equal(await focused(page), await postcode(page).getAttribute("id"));
    }
    await assertAccessible(page);
    await picture(page, "wrong");
    await postcode(page).fill("1000");
    await show(page);
    await page.getByText(/Too many tries\. Please wait \d+ minutes\./).waitFor();
    await assertAccessible(page);
    await picture(page, "too-many");
    // The limited view goes on.
    await page.reload();
    await answered(page);
    assert.equal(await cards.first().locator(".status").textContent(), "inbound-scan");
  });
});

test("the keyboard is enough for a shopper", async () => {
  await view("/?n=SHARED-1", { width: WIDE }, async (page) => {
    await answered(page);
    await assertAccessible(page);
    await page.locator("#link").focus();
    const stops = ["copy", "Follow it at DPD", await postcode(page).first().getAttribute("id")];
    for (const stop of stops) {
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), stop);
    }
    await page.keyboard.type("28013");
    await page.keyboard.press("Enter");
    await page.getByText("28013 Madrid, Spain").waitFor();
    // The other carrier's shipment is another's.
    assert.equal(await postcode(page).count(), 1);
    assert.ok(!(await page.locator("#results").textContent()).includes("Amsterdam"));
  });
});

test("a shopper's page links to nothing that needs a key, and looks up many numbers all the same", async () => {
  const numbers = Array.from({ length: 45 }, (_, number) => `CROWD${1000 + number}`);
  await view("/", { width: WIDE }, async (page, requests) => {
    const links = await page.locator("a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    assert.ok(!links.includes("/browse") && !links.includes("/docs"), links.join(" "));
    await page.getByLabel("Tracking numbers").fill(numbers.join("\n"));
    await page.getByRole("button", { name: "Track" }).click();
    await answered(page);
    assert.equal(await page.locator("#list > .line").count(), numbers.length);
    assert.equal(requests.filter((url) => url.endsWith("/v1/lookup")).length, 3);
    await assertAccessible(page);
  });
});

test("a long list is looked up in time where each client has a rate", async () => {
  const { url, end } = await serve(...LIMITED, "--rate-limit", "40/s,burst=40");
  const numbers = Array.from({ length: 100 }, (_, number) => `CROWD${1000 + number}`);
  try {
    await visit("/", { url, width: PHONE, failing: true }, async (page) => {
      await page.getByLabel("Tracking numbers").fill(numbers.join("\n"));
      await page.getByRole("button", { name: "Track" }).click();
      await answered(page);
      assert.equal(await page.locator("#list > .line").count(), numbers.length);
    });
  } finally {
    await end();
  }
});

test("a server that wants a key asks for it in a form, once for all that was refused", async () => {
  await withKeys([], async (url) => {
    await visit("/", { url, failing: true, width: PHONE }, async (page) => {
      const field = page.getByLabel("This needs an API key:");
      await field.waitFor();
      assert.equal(await field.getAttribute("type"), "password");
      await assertAccessible(page);
      await picture(page, "key");
      await page.getByRole("button", { name: "Not now" }).click();
      await field.waitFor({ state: "detached" });
      // Who asks for something is asked again.
      await page.getByLabel("Tracking numbers").fill("EXACT");
      await page.getByRole("button", { name: "Track" }).click();
      await field.waitFor();
      assert.equal(await page.locator("form.ask").count(), 1);
      await page.keyboard.type("a wrong one");
      await page.keyboard.press("Enter");
      const again = page.getByLabel("This API key is not valid. Another one:");
      await again.waitFor();
      await assertAccessible(page);
      await again.fill(" key-of-the-support ");
      await page.getByRole("button", { name: "Continue" }).click();
      await answered(page);
      await page.locator("article", { hasText: "EXACT" }).waitFor();
      // This tab goes on with it, and no address has it.
      await page.goto(`${url}/browse`);
      await answered(page);
      assert.ok(!page.url().includes("key-of"));
    });
    await visit("/browse", { url, failing: true, width: WIDE }, async (page) => {
      await page.getByLabel("This needs an API key:").waitFor();
      await assertAccessible(page);
      await picture(page, "key-browse");
      await page.getByRole("button", { name: "Not now" }).click();
      await page.getByRole("alert").getByText("The server refused: a key is needed").waitFor();
    });
  });
});

test("whoever has a key sees everything where others see the limited view", async () => {
  await withKeys(LIMITED, async (url) => {
    await visit("/?n=TN12345678", { url, width: WIDE, prepare: (page) => page.addInitScript(() => sessionStorage.setItem("waybill-key", "key-of-the-support")) }, async (page) => {
      await answered(page);
      await page.getByText("75001 Paris, France").waitFor();
      assert.equal(await postcode(page).count(), 0);
    });
  });
});
