import assert from "node:assert/strict";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { IMAGE, LONG, SCRIPT } from "./data.js";
import { NARROW, PAGE_BYTES_MAX, WIDE, assertAccessible, assertFits, eventually, focused, serve, shared, visit } from "./harness.js";

const GROUPS = "00340 4341-6109 4938";
const JOINED = "00340434161094938";

const query = (...numbers) => `/?${new URLSearchParams(numbers.map((number) => ["n", number]))}`;
const summary = (page) => page.locator("#summary").textContent();
/** Of each card: its number, and of shipments the carrier. */
const cards = (page) => page.locator("article").evaluateAll((all) => all.map((one) => [one.querySelector("h3"), one.querySelector("h3 + p:not(.quiet)")].map((part) => part?.textContent ?? null)));
const results = (page) => page.locator("#results").textContent();
const answered = (page) => page.locator("#results:not([hidden]):not(.busy)").waitFor();

/** Opens the form where it is folded behind an answer. */
async function unfold(page) {
  const folded = page.locator("#another:not([open]) > summary");
  if (await folded.count()) await folded.click();
}

/** Types `text` and asks. */
async function ask(page, text) {
  await unfold(page);
  await page.getByLabel("Tracking numbers").fill(text);
  await page.getByRole("button", { name: "Track" }).click();
}

async function assertReads(text, expected) {
  await visit("/", {}, async (page) => {
    await ask(page, text);
    await answered(page);
    assert.deepEqual(await cards(page), expected, text);
  });
}

test("the page is small, comes in one round trip and has no style or script of elsewhere", async () => {
  const answer = await fetch(shared.url);
  const bytes = (await answer.arrayBuffer()).byteLength;
  assert.ok(bytes < PAGE_BYTES_MAX, `${bytes} bytes`);
  await visit("/", {}, async (page, requests) => {
    await page.getByRole("button", { name: "Track" }).waitFor();
    await page.locator("#age time").waitFor();
    assert.deepEqual(requests.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).pathname), ["/", "/v1/dataset"]);
  });
});

test("what only some answers need is loaded with the first one, and the answer is there without it", async () => {
  await visit("/", {}, async (page, requests) => {
    const loaded = () => requests.filter((url) => new URL(url).pathname === "/later.js").length;
    await page.getByLabel("Tracking numbers").waitFor();
    assert.equal(loaded(), 0);
    for (const number of ["TN12345678", "EXACT"]) {
      await ask(page, number);
      await answered(page);
      await page.locator(".steps").waitFor();
    }
    assert.equal(loaded(), 1);
  });
  let isThere = false;
  const prepare = (page) => page.route("**/later.js", (route) => (isThere ? route.continue() : route.abort()));
  await visit(query("TN12345678"), { prepare, failing: true }, async (page) => {
    await answered(page);
    assert.deepEqual(await cards(page), [["TN12345678", "DHL"]]);
    assert.equal(await page.locator(".steps").count(), 0);
    // It is tried again.
    isThere = true;
    await ask(page, "EXACT");
    await page.locator(".steps").waitFor();
  });
});

test("a script in the place of what is loaded later does not run", async () => {
  const prepare = (page) => page.route("**/later.js", (route) => route.fulfill({ contentType: "text/javascript", body: "window.ran = 1;" }));
  const complaints = [];
  await visit(query("TN12345678"), { prepare, tampered: complaints }, answered);
  assert.ok(complaints.some((text) => text.includes("integrity")), String(complaints));
});

test("one number is answered with everything about its shipment", async () => {
  await visit("/", {}, async (page) => {
    await page.getByLabel("Tracking numbers").fill(" tn12345678 ");
    await page.keyboard.press("Enter");
    await answered(page);
    assert.equal(await summary(page), "1 shipment found");
    const card = page.getByRole("article");
    assert.equal(await card.locator(".status").textContent(), "in-transit");
    assert.deepEqual(await cards(page), [["TN12345678", "DHL"]]);
    const places = (await card.locator("dd").allTextContents()).map((place) => place.trim());
    assert.deepEqual(places, ["Street 1, 10115 Berlin, Germany", "Street 10, 75001 Paris, France"]);
    const rows = await card.locator("tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.replace("\n", " "))));
    assert.deepEqual(rows, [["Article", "Qty", "Price", "Amount"], ["Laptop LP123", "1", "800", "800"], ["Mouse MO456", "3", "19.90", "59.70"], ["Total", "859.70"]]);
    assert.equal(await focused(page), "summary");
    assert.match(await page.title(), /tn12345678/);
  });
});

test("numbers are separated by blanks, commas, semicolons or lines", async () => {
  const expected = [["TN12345678", "DHL"], [JOINED, "GLS"], ["EXACT", "UPS"], ["CROWD1000", "DHL"], ["CROWD1001", "UPS"]];
  for (const separator of [" ", ", ", ";", "\n", "\r\n\n", "\t", " ,\n"]) {
    await assertReads(expected.map(([number]) => number).join(separator), expected);
  }
});

test("blanks and dashes within a number are tried as typed, then left out", async () => {
  await assertReads(GROUPS, [[JOINED, "GLS"]]);
  await assertReads(`TN12345678 ${GROUPS} EXACT, CROWD-1000`, [["TN12345678", "DHL"], [JOINED, "GLS"], ["EXACT", "UPS"], ["CROWD1000", "DHL"]]);
  await assertReads(`TN1234\u20115678 \u200e${GROUPS}`, [["TN12345678", "DHL"], [JOINED, "GLS"]]);
  // Known with its dash, its blanks and its comma.
  await assertReads("RR 12, 34-5", [["RR 12, 34-5", "GLS"]]);
  await visit(query("SHARED-1", GROUPS), {}, async (page) => {
    await answered(page);
    assert.deepEqual((await cards(page)).map(([number]) => number), ["SHARED-1", "SHARED-1", JOINED]);
    assert.deepEqual(await page.getByText("typed as").allTextContents(), [`typed as ${GROUPS}`]);
  });
});

test("each number that is not found is named", async () => {
  await assertReads("NOPE1", [["NOPE1", null]]);
  await assertReads("NOPE1 NOPE2, TN12345678\n12 34-5", [["NOPE1", null], ["NOPE2", null], ["TN12345678", "DHL"], ["12 34-5", null]]);
  await visit(query("NOPE1"), {}, async (page) => {
    await answered(page);
    assert.equal(await summary(page), "No shipment found");
    await assertAccessible(page);
  });
  await visit(query("NOPE1", "EXACT", "exact"), {}, async (page) => {
    await answered(page);
    assert.equal(await summary(page), "1 of 2 numbers found");
  });
});

test("carriers that share a number are all shown, or the chosen one", async () => {
  await visit(query("shared-1"), {}, async (page) => {
    await answered(page);
    assert.equal(await summary(page), "2 shipments found");
    assert.deepEqual(await cards(page), [["SHARED-1", "DPD"], ["SHARED-1", "FedEx"]]);
    await page.getByText("2 carriers use the number").waitFor();
    await assertAccessible(page);
    await unfold(page);
    await page.getByLabel("Carrier").selectOption("FedEx");
    await page.getByRole("button", { name: "Track" }).click();
    await eventually(() => cards(page), [["SHARED-1", "FedEx"]]);
    assert.equal(new URL(page.url()).search, "?n=shared-1&carrier=FedEx");
    await page.getByLabel("Carrier").selectOption("GLS");
    await page.getByRole("button", { name: "Track" }).click();
    await page.getByText("No shipment with GLS has this number.").waitFor();
    await page.getByRole("link", { name: "Search all carriers" }).click();
    await eventually(() => cards(page), [["SHARED-1", "DPD"], ["SHARED-1", "FedEx"]]);
  });
});

test("the list of carriers may come late, spelled otherwise, or not at all", async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const hold = (page) => page.route("**/v1/dataset", async (route) => {
    await held;
    await route.continue();
  });
  await visit("/?n=TN12345678&carrier=dhl", { prepare: hold }, async (page) => {
    await answered(page);
    assert.deepEqual(await cards(page), [["TN12345678", "DHL"]]);
    assert.equal(await page.getByLabel("Carrier").inputValue(), "dhl");
    release();
    await page.locator("#age time").waitFor();
    assert.equal(await page.getByLabel("Carrier").inputValue(), "DHL");
  });
  const cut = (page) => page.route("**/v1/dataset", (route) => route.abort());
  await visit("/?n=TN12345678&carrier=Nobody", { prepare: cut, failing: true }, async (page) => {
    await answered(page);
    assert.equal(await page.getByLabel("Carrier").inputValue(), "Nobody");
    assert.equal(await summary(page), "No shipment found");
  });
});

test("prices keep all their digits and add up exactly", async () => {
  await visit(query("EXACT"), {}, async (page) => {
    await answered(page);
    const columns = await page.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent)));
    assert.deepEqual(columns, [
      ["4,294,967,295", "999,999,999,999,999.999", "4,294,967,294,999,999,995,705,032.705"],
      ["1", "0.00000000000000001", "0.00000000000000001"],
      ["3", "0.10", "0.30"],
    ]);
    assert.equal(await page.locator("tfoot td").textContent(), "4,294,967,294,999,999,995,705,033.00500000000000001");
  });
});

test("whatever the data holds is text", async () => {
  for (const [width, colorScheme] of [[NARROW, "light"], [WIDE, "dark"]]) {
    await visit(query("HOSTILE", IMAGE), { width, colorScheme }, async (page, requests) => {
      await answered(page);
      const text = await results(page);
      for (const value of [SCRIPT, IMAGE, LONG, `{"price":7} "price":12.50 🎁`, "\u202Egnp.exe\u202C"]) assert.ok(text.includes(value), value);
      assert.deepEqual(await page.locator("tfoot td").allTextContents(), ["1", "25.00", "1"]);
      assert.equal(await page.locator("#list :is(script, img)").count(), 0);
      assert.ok(!requests.some((url) => url.endsWith("/ran")));
      // Marks that turn the writing direction end with the text they stand in.
      const turned = page.locator("[dir=auto]", { hasText: "gnp.exe" });
      assert.ok((await turned.count()) >= 2);
      for (const bidi of await turned.evaluateAll((all) => all.map((one) => getComputedStyle(one).unicodeBidi))) assert.match(bidi, /isolate|plaintext/);
      await assertAccessible(page);
    });
  }
});

test("what is empty is said to be", async () => {
  await visit(query("RR 12, 34-5"), {}, async (page) => {
    await answered(page);
    for (const text of ["no status", "not given", "no name"]) assert.equal(await page.getByText(text, { exact: true }).count(), 1, text);
    await assertAccessible(page);
  });
});

test("the address reproduces the view, and back leads to the view before", async () => {
  await visit("/", {}, async (page) => {
    await ask(page, `SHARED-1\nNOPE1, ${GROUPS}`);
    await answered(page);
    const first = await results(page);
    const link = await page.getByRole("link", { name: "Link to this view" }).getAttribute("href");
    assert.equal(shared.url + link, page.url());
    await visit(link, {}, async (again) => {
      await answered(again);
      assert.equal(await results(again), first);
    });
    await ask(page, "EXACT");
    await eventually(() => cards(page), [["EXACT", "UPS"]]);
    await page.goBack();
    await eventually(() => results(page), first);
    assert.equal(await page.getByLabel("Tracking numbers").inputValue(), `SHARED-1\nNOPE1, ${GROUPS}`);
    await page.goBack();
    await page.locator("#results").waitFor({ state: "hidden" });
    assert.equal(await page.getByLabel("Tracking numbers").inputValue(), "");
    await page.goForward();
    await eventually(() => results(page), first);
    // The carrier and the same question again: no step that leads back to itself.
    const steps = await page.evaluate(() => history.length);
    await unfold(page);
    await page.getByRole("button", { name: "Track" }).click();
    await answered(page);
    assert.equal(await page.evaluate(() => history.length), steps);
  });
});

test("a form that is sent without the script leads to the same view", async () => {
  let address;
  await visit("/", { javaScriptEnabled: false }, async (page) => {
    await page.getByLabel("Tracking numbers").fill("TN12345678\nNOPE1");
    await page.getByRole("button", { name: "Track" }).click();
    await page.waitForURL("**/?n=**");
    address = page.url().slice(shared.url.length);
  });
  assert.equal(address, "/?n=TN12345678%0D%0ANOPE1&carrier=");
  await visit(address, {}, async (page) => {
    await answered(page);
    assert.deepEqual(await cards(page), [["TN12345678", "DHL"], ["NOPE1", null]]);
  });
});

test("a thousand numbers are looked up, more are refused with their count", async () => {
  const numbers = (count) => Array.from({ length: count }, (_, at) => `CROWD${1000 + at}`);
  await visit("/", {}, async (page) => {
    await ask(page, numbers(1000).join(" "));
    await answered(page);
    assert.equal(await summary(page), "130 of 1,000 numbers found");
    // Too long to be sent: the address keeps it from the server, and reproduces it all the same.
    assert.ok(new URL(page.url()).hash.length > 4000);
    await page.reload();
    await answered(page);
    assert.equal(await summary(page), "130 of 1,000 numbers found");
    for (const separator of [" ", ",", "\n"]) {
      await ask(page, numbers(1001).join(separator));
      await page.getByRole("alert").getByText("These are 1,001 numbers. Up to 1,000 can be looked up at once").waitFor();
      assert.ok(!(await page.locator("#results").isVisible()));
    }
    await assertAccessible(page);
    await ask(page, "a b ".repeat(10000));
    await page.getByRole("alert").getByText("This is a long text.").waitFor();
  });
});

test("nothing to look up is said, and the field is where to type", async () => {
  await visit("/", {}, async (page) => {
    await assertAccessible(page);
    for (const text of ["", " \n ", ",;,", "- -"]) {
      await ask(page, text);
      await page.getByRole("alert").getByText("Type or paste a tracking number first.").waitFor();
      assert.equal(await focused(page), "n");
    }
    await assertAccessible(page);
    await ask(page, "EXACT");
    await answered(page);
    assert.equal(await page.getByRole("alert").textContent(), "");
  });
});

test("a server that is gone is said to be, and can be tried again", async () => {
  const isGone = (page) => page.route("**/v1/**", (route) => route.abort());
  await visit(query("EXACT"), { prepare: isGone, failing: true }, async (page) => {
    await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
    await assertAccessible(page);
    await page.unroute("**/v1/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await answered(page);
    assert.deepEqual(await cards(page), [["EXACT", "UPS"]]);
    assert.equal(await page.getByRole("alert").textContent(), "");
  });
});

test("a server that never answers is given up in time", async () => {
  const silent = async (page) => {
    await page.clock.install();
    await page.route("**/v1/lookup", () => {});
  };
  await visit(query("EXACT"), { prepare: silent, failing: true }, async (page) => {
    await page.getByRole("status").getByText("Looking up 1 number…").waitFor();
    await page.clock.fastForward(20000);
    await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
  });
});

test("a server that is loading is waited for", async () => {
  let refusals = 2;
  const loading = (page) => page.route("**/v1/lookup", (route) => {
    if (refusals-- <= 0) return route.continue();
    return route.fulfill({ status: 503, headers: { "Retry-After": "1" }, contentType: "application/problem+json", body: "{}" });
  });
  await visit(query("EXACT"), { prepare: loading, failing: true }, async (page) => {
    await page.getByRole("status").getByText("The server is loading its data.").waitFor();
    await assertAccessible(page);
    await answered(page);
    assert.deepEqual(await cards(page), [["EXACT", "UPS"]]);
    assert.ok(refusals < 0);
  });
});

test("a refusal is shown in the server's words", async () => {
  const refuse = (page) => page.route("**/v1/lookup", (route) => route.fulfill({ status: 413, contentType: "application/problem+json", body: `{"detail":"the body is <b>large</b>"}` }));
  await visit(query("EXACT"), { prepare: refuse, failing: true }, async (page) => {
    await page.getByRole("alert").getByText("The server refused: the body is <b>large</b>.").waitFor();
  });
});

test("a newer question ends the one before", async () => {
  const requests = [];
  const hold = (page) => page.route("**/v1/lookup", (route) => (requests.length ? route.continue() : requests.push(route)));
  await visit(query("EXACT"), { prepare: hold }, async (page) => {
    await eventually(() => requests.length, 1);
    await ask(page, "TN12345678");
    await answered(page);
    await requests[0].continue().catch(() => {});
    assert.deepEqual(await cards(page), [["TN12345678", "DHL"]]);
    assert.equal(await page.getByRole("alert").textContent(), "");
  });
});

const age = (page) => page.locator("#age").innerText();
/** Answers with a dataset that was written at `modified`, and loaded long after. */
const writtenAt = (modified) => ({ json: { version: "1", loaded_at: "2099-01-01T00:00:00.000Z", modified_at: modified && new Date(modified).toISOString(), shipments: 1, articles: 1, carriers: ["DHL"] } });

test("the age of the data is said and grows, whenever it was loaded", async () => {
  const written = Date.UTC(2026, 0, 2, 3, 4, 5);
  const prepare = async (page) => {
    await page.clock.install({ time: written + 3 * 60000 });
    await page.route("**/v1/dataset", (route) => route.fulfill(writtenAt(written)));
  };
  await visit("/", { prepare }, async (page) => {
    await page.getByText("Data from 3 minutes ago").waitFor();
    await page.clock.fastForward(2 * 3600000);
    await page.getByText("Data from 2 hours ago").waitFor();
    await page.clock.fastForward(10 * 86400000);
    await eventually(() => age(page), "Data from 10 days ago");
  });
});

test("data of no known age is given none", async () => {
  const prepare = (page) => page.route("**/v1/dataset", (route) => route.fulfill(writtenAt(null)));
  await visit("/", { prepare }, async (page) => {
    await page.locator("option", { hasText: "DHL" }).waitFor({ state: "attached" });
    assert.equal(await age(page), "");
  });
});

test("data that is older than it may be is said to be out of date, and the same data written again is not", { skip: Boolean(process.env.BASE_URL) }, async () => {
  const { url, data, end } = await serve("--max-data-age", "26h", "--watch", "20ms");
  const writtenAgo = (days) => utimes(data, new Date(), new Date(Date.now() - days * 86400000 - 60000));
  const modified = async () => (Date.now() - new Date((await (await fetch(`${url}/v1/dataset`)).json()).modified_at)) / 86400000;
  try {
    for (const path of ["/", "/browse"]) {
      await writtenAgo(10);
      await eventually(async () => (await modified()) > 9, true);
      await visit(path, { url }, async (page) => {
        await eventually(() => age(page), "Data from 10 days ago (out of date)");
        await assertAccessible(page);
        await writtenAgo(1);
        await eventually(async () => (await modified()) < 2, true);
        // The version, and so the tag, is the same.
        await page.reload();
        await eventually(() => age(page), "Data from 1 day ago");
        // A page that stays open notices by itself.
        await page.clock.install({ time: Date.now() });
        await page.reload();
        await eventually(() => age(page), "Data from 1 day ago");
        await page.clock.fastForward(3 * 3600000);
        await eventually(() => age(page), "Data from 1 day ago (out of date)");
      });
    }
  } finally {
    await end();
  }
});

test("the keyboard is enough", async () => {
  await visit("/", {}, async (page) => {
    for (const stop of ["Waybill", "Track", "Browse", "API", "n"]) {
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), stop);
    }
    await page.keyboard.type("EXACT");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("SHARED-1");
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "carrier");
    await page.locator("option", { hasText: "DPD" }).first().waitFor({ state: "attached" });
    await page.keyboard.type("DPD");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await answered(page);
    assert.equal(await focused(page), "summary");
    assert.deepEqual(await cards(page), [["EXACT", null], ["SHARED-1", "DPD"]]);
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "link");
  });
});

test("it fits phones and desks, light and dark, and paper", async () => {
  const everything = query("TN12345678", "SHARED-1", GROUPS, "EXACT", "NOPE1");
  const grounds = [];
  for (const width of [NARROW, 768, WIDE]) {
    for (const colorScheme of ["light", "dark"]) {
      for (const path of ["/", everything]) {
        await visit(path, { width, colorScheme }, async (page) => {
          if (path !== "/") await answered(page);
          await assertFits(page);
          grounds.push(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor));
        });
      }
    }
  }
  assert.equal(new Set(grounds).size, 2);
  await visit(everything, { width: NARROW }, async (page) => {
    await answered(page);
    await assertAccessible(page);
    await page.emulateMedia({ media: "print" });
    assert.ok(!(await page.locator("form").isVisible()));
    assert.ok(await page.locator("article").first().isVisible());
  });
});

test("a server that ends while the page is open is noticed", { skip: Boolean(process.env.BASE_URL) }, async () => {
  const { url, end } = await serve();
  await visit("/", { url, failing: true }, async (page) => {
    await page.locator("#age time").waitFor();
    await end();
    await ask(page, "EXACT");
    await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
  });
});
