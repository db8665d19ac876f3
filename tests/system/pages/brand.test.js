// The tracking page as a shop's: its brand, its languages, what people paste, long lists, and how it renews itself.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CSV } from "./data.js";
import { NARROW, WIDE, assertAccessible, assertFits, eventually, focused, serve, visit } from "./harness.js";

const PHONE = 390;
const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#7a1f5c"/></svg>';
const BRAND = 'name = "Maison Lavande"\nlogo = "logo.svg"\naccent = "#7a1f5c"\nsupport-url = "mailto:help@shop.example"\ncurrency = "EUR"\nshow-sku = false\n[carrier-links]\nGLS = false\n';
const answered = (page) => page.locator("#results:not([hidden]):not(.busy)").waitFor();
const numbers = (page) => page.locator("article h3").allTextContents();
const query = (...lines) => `/?${new URLSearchParams(lines.map((line) => ["n", line]))}`;

let dir, brand, plain, live;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "waybill-brand-"));
  await writeFile(join(dir, "logo.svg"), LOGO);
  await writeFile(join(dir, "brand.toml"), BRAND);
  brand = await serve("--brand", join(dir, "brand.toml"), "--status-map", "builtin");
  plain = await serve();
  live = await serve("--changes", "5", "--watch", "50ms");
});
after(async () => {
  await Promise.all([brand?.end(), plain?.end(), live?.end(), rm(dir, { recursive: true })]);
});

test("a brand with its logo is on a page that all can use, light and dark, narrow and wide", async () => {
  for (const [width, colorScheme] of [[NARROW, "light"], [PHONE, "dark"], [WIDE, "light"]]) {
    for (const path of ["/", "/?n=TN12345678&lang=de"]) {
      await visit(path, { url: brand.url, width, colorScheme }, async (page) => {
        await page.locator("#age time").waitFor();
        if (path !== "/") await answered(page);
        assert.match(await page.title(), / · Maison Lavande$/);
        assert.ok(await page.locator(".brand img").evaluate((image) => image.complete && image.naturalWidth > 0));
        assert.ok(!/waybill/i.test(await page.locator("body").innerText()));
        await assertAccessible(page);
      });
    }
  }
});

test("prices are in the currency and the form of the reader, with all their digits", async () => {
  const cells = (page) => page.locator("tfoot td").allTextContents();
  await visit("/?n=TN12345678&n=EXACT&lang=de", { url: brand.url }, async (page) => {
    await answered(page);
    const nbsp = (text) => text.replaceAll("\u00a0", " ");
    assert.deepEqual((await cells(page)).map(nbsp), ["859,70 €", "4.294.967.294.999.999.995.705.033,00500000000000001 €"]);
    assert.ok(!(await page.locator("#results").textContent()).includes("LP123"));
  });
  await visit("/?n=TN12345678&lang=fr", { url: plain.url }, async (page) => {
    await answered(page);
    assert.deepEqual(await cells(page), ["859,70"]);
  });
});

test("a card links to its carrier's page, where the brand allows it", async () => {
  await visit("/?n=TN12345678&n=RR+12%2C+34-5&n=EXACT", { url: brand.url }, async (page) => {
    await answered(page);
    const links = await page.locator(".title a").evaluateAll((all) => all.map((link) => [link.textContent, link.href, link.rel]));
    assert.deepEqual(links, [
      ["Follow it at DHL", "https://www.dhl.com/global-en/home/tracking.html?tracking-id=TN12345678", "noreferrer"],
      ["Follow it at UPS", "https://www.ups.com/track?tracknum=EXACT", "noreferrer"],
    ]);
  });
});

test("a reader changes the language and stays where they are", async () => {
  await visit("/?n=SHARED-1&carrier=FedEx", { url: plain.url, width: PHONE }, async (page) => {
    await answered(page);
    for (const [name, summary] of [["Deutsch", "1 Sendung gefunden"], ["Français", "1 envoi trouvé"], ["Español", "1 envío encontrado"], ["Italiano", "1 spedizione trovata"], ["Nederlands", "1 zending gevonden"]]) {
      await page.getByRole("link", { name }).click();
      await page.getByRole("heading", { name: summary }).waitFor();
      await answered(page);
      assert.deepEqual(await page.locator("article h3 + p").allTextContents(), ["FedEx"]);
      await assertFits(page);
    }
    await assertAccessible(page);
    await page.locator(".brand").click();
    await page.getByRole("heading", { name: "Waar is mijn pakket?" }).waitFor();
    await page.getByLabel("Volgnummers").fill("EXACT");
    await page.getByRole("button", { name: "Volgen" }).click();
    await page.getByRole("heading", { name: "1 zending gevonden" }).waitFor();
    assert.match(page.url(), /lang=nl/);
  });
  await visit("/browse", { url: plain.url }, async (page) => {
    await answered(page);
    await page.getByRole("link", { name: "Deutsch" }).click();
    await page.waitForURL("**/browse?lang=de");
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
  });
});

test("who follows a link sees the answer first, and the form when they want it", async () => {
  await visit("/?n=TN12345678", { url: plain.url, width: PHONE }, async (page) => {
    await answered(page);
    const top = await page.locator("article").evaluate((card) => card.getBoundingClientRect().top);
    assert.ok(top < 250, `the card begins at ${top}`);
    assert.ok(!(await page.getByLabel("Tracking numbers").isVisible()));
    await page.getByText("Track another").focus();
    await page.keyboard.press("Enter");
    await eventually(() => focused(page), "n");
    await page.keyboard.type("exact");
    await page.keyboard.press("Enter");
    await eventually(() => numbers(page), ["EXACT"]);
    await assertAccessible(page);
  });
});

test("what people paste is understood", async () => {
  for (const [text, expected] of [
    ["#TN12345678", ["TN12345678"]],
    ["Your parcel TN12345678.", ["TN12345678"]],
    ["Sendungsnummer: TN12345678", ["TN12345678"]],
    ["Tracking number: NOPE1", ["NOPE1"]],
    ["(TN12345678), EXACT!", ["TN12345678", "EXACT"]],
    ["https://www.dhl.com/global-en/home/tracking.html?tracking-id=TN12345678&submit=1", ["TN12345678"]],
    ["https://gls-group.eu/track/00340434161094938", ["00340434161094938"]],
    ["see https://shop.example/?n=EXACT#x and www.ups.com/track?tracknum=crowd1000", ["EXACT", "CROWD1000"]],
    ["SHARED-1\tFedEx", ["SHARED-1"]],
    ["SHARED-1\tDPD\nTN12345678\tDHL", ["SHARED-1", "TN12345678"]],
    ["SHARED-1", ["SHARED-1", "SHARED-1"]],
  ]) {
    await visit("/", { url: plain.url }, async (page) => {
      await page.getByLabel("Tracking numbers").fill(text);
      await page.getByRole("button", { name: "Track" }).click();
      await answered(page);
      assert.deepEqual(await numbers(page), expected, text);
    });
  }
});

test("a long list is one line for each shipment, with counts, and opens as a table", async () => {
  const lines = [...Array.from({ length: 40 }, (_, number) => `CROWD${1000 + number}`), "NOPE1"];
  await visit(query(...lines), { url: plain.url, width: PHONE }, async (page) => {
    await answered(page);
    assert.equal(await page.locator("#list > .line").count(), 40);
    assert.equal(await page.locator("#list > .missing").count(), 1);
    assert.deepEqual(await page.locator("#counts li").allTextContents(), ["14 in-transit", "13 delivered", "13 scanned", "1 not found"]);
    await assertAccessible(page);
    await page.locator(".line summary").nth(2).focus();
    await page.keyboard.press("Enter");
    await eventually(() => numbers(page), ["CROWD1002", "NOPE1"]);
    await assertAccessible(page);
    await page.getByRole("link", { name: "Open as a table" }).click();
    await page.waitForURL("**/browse#list");
    assert.deepEqual(JSON.parse(await page.evaluate(() => sessionStorage.getItem("waybill-list"))), lines);
  });
});

test("a phone shares in its own way", async () => {
  const phone = (page) => page.addInitScript(() => {
    navigator.share = async (what) => (window.shared = what);
  });
  await visit("/?n=EXACT&lang=de", { url: plain.url, width: PHONE, prepare: phone }, async (page) => {
    await answered(page);
    await page.getByRole("button", { name: "Teilen" }).click();
    assert.deepEqual(await page.evaluate(() => window.shared), { title: "EXACT · Waybill", url: `${plain.url}/?n=EXACT&lang=de` });
  });
});

test("a page that is open renews itself, and leaves focus and what is typed alone", async () => {
  await visit("/?n=TN12345678", { url: live.url, width: PHONE, failing: true }, async (page, requests) => {
    await answered(page);
    const waits = () => requests.filter((url) => url.includes("?wait=")).length;
    await eventually(async () => waits() > 0, true);
    await page.getByText("Track another").click();
    await page.getByLabel("Tracking numbers").fill("half a num");
    await page.locator(".title a").focus();
    await writeFile(live.data, CSV.replaceAll("in-transit", "delivered"));
    await eventually(() => page.locator("article .status").textContent(), "delivered");
    await page.getByText("Updated just now").waitFor();
    assert.equal(await focused(page), "Follow it at DHL");
    assert.equal(await page.getByLabel("Tracking numbers").inputValue(), "half a num");
    await assertAccessible(page);
    await writeFile(live.data, CSV.split("\n").filter((line) => !line.startsWith('"TN12345678"')).join("\n"));
    await page.getByRole("status").getByText("This shipment is no longer listed.").waitFor();
    await writeFile(live.data, CSV);
  });
});

test("a page that is hidden or refused waits", async () => {
  let asked = 0;
  const busy = async (page) => {
    await page.clock.install();
    await page.route("**/v1/shipments/**", (route) => (asked++, route.fulfill({ status: 503, headers: { "Retry-After": "600" }, contentType: "application/problem+json", body: "{}" })));
  };
  await visit("/?n=EXACT", { url: live.url, prepare: busy, failing: true }, async (page) => {
    await answered(page);
    await page.clock.runFor(1000);
    await eventually(async () => asked, 1);
    await page.clock.runFor(400000);
    assert.equal(asked, 1);
    await page.evaluate(() => Object.defineProperty(document, "hidden", { value: true, configurable: true }));
    await page.clock.runFor(400000);
    assert.equal(asked, 1);
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: false, configurable: true });
      dispatchEvent(new Event("visibilitychange"));
    });
    await eventually(async () => asked, 2);
  });
});

test("a list is looked up again when other data is served", async () => {
  const lines = Array.from({ length: 30 }, (_, number) => `CROWD${1000 + number}`);
  const clock = (page) => page.clock.install();
  await visit(query(...lines), { url: live.url, prepare: clock }, async (page) => {
    await answered(page);
    await page.clock.runFor(1000);
    await page.locator(".line summary").nth(1).click();
    await eventually(() => numbers(page), ["CROWD1001"]);
    await writeFile(live.data, CSV.replaceAll("scanned", "lost"));
    await eventually(async () => {
      await page.clock.runFor(80000);
      return (await page.locator("#counts").textContent()).includes("lost");
    }, true);
    assert.deepEqual(await numbers(page), ["CROWD1001"]);
    assert.equal(await page.locator(".line[open]").count(), 1);
    await writeFile(live.data, CSV);
  });
});
