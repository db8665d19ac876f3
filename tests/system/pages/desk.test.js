// What a support team does at the desk: pasted lists, changes of the last export, downloads, keys, paper.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { CROWD, CSV, SHIPMENTS } from "./data.js";
import { NARROW, WIDE, assertAccessible, assertFits, eventually, focused, serve, shared, visit } from "./harness.js";

const PHONE = 390;
const KEY = "key-of-the-desk-0123456789";

const summary = (page) => page.locator("#summary").textContent();
const answered = (page) => page.locator("#results:not([hidden]):not(.busy)").waitFor();
const rows = (page) => page.locator("#rows tr:visible").count();
const firsts = (page) => page.locator("#rows tr:visible td:first-child").allTextContents();
const search = (page) => new URL(page.url()).search;

/** Pastes a text into the search, as browsers do. */
async function paste(page, text, isFocused = true) {
  if (isFocused) await page.getByLabel("Tracking number").focus();
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, text);
}

/** What a click downloads: `[name, content]`. */
async function downloaded(page, click) {
  const [download] = await Promise.all([page.waitForEvent("download"), click()]);
  return [download.suggestedFilename(), await readFile(await download.path(), "utf8")];
}

const LIST = ["TN12345678", "NOPE-1", "00340 4341-6109 4938", "SHARED-1, CROWD1000", "tn12345678", "=cmd()", "CROWD1001"];

test("pasting several numbers opens them as a table", async () => {
  await visit("/browse?carrier=GLS", {}, async (page, requests) => {
    await answered(page);
    await paste(page, LIST.join("\r\n"));
    await eventually(() => summary(page), "5 of 7 numbers found · 1 repeat left out · 1 with several carriers");
    assert.equal(new URL(page.url()).hash, "#list");
    assert.equal(await focused(page), "summary");
    assert.deepEqual(await firsts(page), ["TN12345678", "NOPE-1", "00340 4341-6109 4938", "SHARED-1", "SHARED-1", "CROWD1000", "=cmd()", "CROWD1001"]);
    assert.equal(requests.filter((url) => url.endsWith("/v1/lookup")).length, 1);
    const cells = await page.locator("#rows tr").first().locator("td").allTextContents();
    assert.deepEqual(cells, ["TN12345678", "DHL", "in-transit", "Street 1, 10115 Berlin, Germany", "Street 10, 75001 Paris, France", "2"]);
    await assertAccessible(page);
    // A row leads to its shipment, and the way back to the list.
    await page.getByRole("link", { name: "00340 4341-6109 4938" }).click();
    await page.locator("article").waitFor();
    assert.deepEqual(await page.locator("h3").allTextContents(), ["00340434161094938"]);
    await page.goBack();
    await eventually(() => rows(page), 8);
    await page.getByRole("link", { name: "Back to all shipments" }).click();
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
    assert.equal(page.url(), `${shared.url}/browse`);
    await page.goBack();
    await eventually(() => rows(page), 8);
    // Typing leaves it, too.
    await page.getByLabel("Tracking number").fill("TOWN1");
    await eventually(() => firsts(page), ["TOWN1", "TOWN10", "TOWN11"]);
    await page.goBack();
    await eventually(() => rows(page), 8);
  });
});

test("the list narrows to a status and to what is missing", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    await paste(page, LIST.join("\n"));
    await eventually(() => rows(page), 8);
    const choices = page.getByRole("group", { name: "Narrow down" }).getByRole("button");
    const texts = await choices.allTextContents();
    assert.deepEqual(texts.slice(0, 3), ["All 8", "Only missing 2", "in-transit 2"]);
    await choices.nth(2).click();
    assert.deepEqual(await firsts(page), ["TN12345678", "CROWD1000"]);
    assert.equal(await choices.nth(2).getAttribute("aria-pressed"), "true");
    await assertAccessible(page);
    await page.getByRole("button", { name: "Only missing" }).click();
    assert.deepEqual(await firsts(page), ["NOPE-1", "=cmd()"]);
    await assertAccessible(page);
    // What is shown is downloaded, and a spreadsheet runs none of it.
    assert.deepEqual(await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click()), [
      "list.csv",
      '\uFEFF"typed","found","tracking_number","carrier","status","sender","receiver","articles"\r\n"NOPE-1","no","","","","","",""\r\n"\'=cmd()","no","","","","","",""\r\n',
    ]);
    // What is chosen stays with this list, and with no other.
    await page.reload();
    await eventually(() => firsts(page), ["NOPE-1", "=cmd()"]);
    assert.equal(await page.getByRole("button", { name: "Only missing" }).getAttribute("aria-pressed"), "true");
    await page.getByRole("link", { name: "Back to all shipments" }).click();
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
    await page.goBack();
    await eventually(() => firsts(page), ["NOPE-1", "=cmd()"]);
    await page.emulateMedia({ media: "print" });
    assert.ok(await page.getByText("Only missing", { exact: true }).isVisible());
    await page.emulateMedia({ media: "screen" });
    await paste(page, LIST.slice(1).join("\n"));
    await eventually(() => rows(page), 8);
    await paste(page, LIST.join("\n"));
    await eventually(() => summary(page), "5 of 7 numbers found · 1 repeat left out · 1 with several carriers");
    await choices.nth(0).click();
    assert.equal(await rows(page), 8);
    const [, all] = await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click());
    assert.ok(all.includes('"00340 4341-6109 4938","yes","00340434161094938","GLS","scanned","Street 5, 70173 Stuttgart, Germany","Street 15, 1050 Copenhagen, Denmark","1"\r\n'), all);
  });
});

test("missing numbers are copied, with and without the clipboard of secure pages", async () => {
  for (const isSecure of [true, false]) {
    const without = (page) => page.addInitScript((isSecure) => {
      if (!isSecure) Object.defineProperty(navigator, "clipboard", { value: undefined });
    }, isSecure);
    await visit("/browse", { prepare: without }, async (page) => {
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await answered(page);
      await paste(page, LIST.join("\n"));
      await page.evaluate(() => document.addEventListener("copy", (event) => setTimeout(() => (window.copied = event.clipboardData.getData("text/plain")))));
      await page.getByRole("button", { name: "Copy 2 missing numbers" }).click();
      await page.getByRole("button", { name: "Copied" }).waitFor();
      const copied = isSecure ? await page.evaluate(() => navigator.clipboard.readText()) : "NOPE-1\n=cmd()";
      assert.equal(copied, "NOPE-1\n=cmd()");
      await page.getByRole("button", { name: "Copy 2 missing numbers" }).waitFor();
    });
  }
});

test("a list comes from the tracking page, survives a reload, and may be nothing", async () => {
  const kept = (lines) => (page) => page.addInitScript((lines) => {
    if (!sessionStorage.getItem("waybill-list")) sessionStorage.setItem("waybill-list", lines);
  }, lines);
  await visit("/browse#list", { prepare: kept(JSON.stringify(["TN12345678 EXACT", "SHARED-1"])) }, async (page) => {
    await eventually(() => summary(page), "3 of 3 numbers found · 1 with several carriers");
    await page.reload();
    await eventually(() => rows(page), 4);
  });
  for (const broken of ["", "no JSON", "{}", "[1, null]"]) {
    await visit("/browse#list", { prepare: kept(broken) }, async (page) => {
      await page.getByText("There is no list here.").waitFor();
      await assertAccessible(page);
      await page.getByRole("link", { name: "Back to all shipments" }).click();
      await eventually(() => summary(page), `${SHIPMENTS} shipments`);
      await page.goBack();
      await page.getByText("There is no list here.").waitFor();
      await page.getByLabel("Tracking number").fill("EXACT");
      await eventually(() => firsts(page).catch(() => []), ["EXACT"]);
    });
  }
});

test("one number stays one, whatever stands in it", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    await paste(page, "RR 12, 34-5");
    await eventually(() => firsts(page), ["RR 12, 34-5"]);
    assert.equal(search(page), "?tracking_number_prefix=RR+12%2C+34-5");
    for (const [pasted, number] of [["#TN12345678.", "TN12345678"], ["TN12345678\tDHL", "TN12345678"], ["Tracking number: EXACT", "EXACT"], ["https://example.com/track?number=TOWN7&lang=en", "TOWN7"]]) {
      await paste(page, pasted);
      await eventually(() => firsts(page), [number]);
    }
    // It may be pasted anywhere.
    await page.getByRole("checkbox", { name: "GLS" }).focus();
    await paste(page, " TOWN10\n", false);
    await eventually(() => firsts(page), ["TOWN10"]);
    // Several that were typed are a list when nothing begins so.
    await page.getByLabel("Tracking number").fill("EXACT TN-12345678");
    await page.keyboard.press("Enter");
    await eventually(() => summary(page), "2 of 2 numbers found");
    assert.deepEqual(await firsts(page), ["EXACT", "TN-12345678"]);
  });
});

test("1,000 numbers are one table of one request, on all screens", async () => {
  const numbers = [...Array(1000).keys()].map((at) => (at < CROWD ? `CROWD${1000 + at}` : `UNKNOWN${1000 + at}`));
  for (const [width, colorScheme] of [[WIDE, "light"], [PHONE, "dark"], [NARROW, "light"]]) {
    await visit("/browse", { width, colorScheme }, async (page, requests) => {
      await answered(page);
      await paste(page, numbers.join("\n"));
      await eventually(() => summary(page), `${CROWD} of 1,000 numbers found`);
      assert.equal(await page.locator("#rows tr").count(), 1000);
      assert.equal(requests.filter((url) => url.endsWith("/v1/lookup")).length, 1);
      await assertFits(page);
      await page.getByRole("button", { name: "Only missing" }).click();
      assert.equal(await rows(page), 1000 - CROWD);
      await page.getByRole("button", { name: "delivered" }).click();
      await assertAccessible(page);
    });
  }
  await visit("/browse", {}, async (page) => {
    await answered(page);
    await paste(page, [...numbers, "ONE-MORE-1"].join("\n"));
    // What was pasted is there to be shortened.
    const box = page.getByLabel("These are 1,001 numbers. Up to 1,000 can be looked up at once");
    assert.equal(await box.inputValue(), [...numbers, "ONE-MORE-1"].join("\n"));
    assert.equal(await focused(page), "lines");
    await assertAccessible(page);
    await page.reload();
    await box.fill(["TN12345678", ...numbers.slice(0, 3)].join("\n"));
    await page.getByRole("button", { name: "Continue" }).click();
    await eventually(() => summary(page), "4 of 4 numbers found");
    await page.goBack();
    await eventually(() => summary(page), "4 of 4 numbers found");
    await paste(page, [...numbers, "ONE-MORE-1"].join("\n"));
    await page.getByRole("link", { name: "Back to all shipments" }).click();
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
  });
});

test("/ begins a search, and types itself in fields", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    await page.keyboard.press("/");
    assert.equal(await focused(page), "number");
    await page.keyboard.type("a/b");
    assert.equal(await page.getByLabel("Tracking number").inputValue(), "a/b");
    await page.keyboard.press("Escape");
    assert.equal(await page.getByLabel("Tracking number").inputValue(), "");
    await page.getByRole("searchbox", { name: "Find in From city" }).focus();
    await page.keyboard.type("/");
    assert.equal(await page.getByRole("searchbox", { name: "Find in From city" }).inputValue(), "/");
    await page.getByRole("checkbox", { name: "DHL" }).focus();
    await page.keyboard.press("/");
    assert.equal(await focused(page), "number");
    // The way past the filters stays on the page.
    await page.locator(".skip").focus();
    await page.keyboard.press("Enter");
    assert.equal(await focused(page), "shipments");
    assert.equal(new URL(page.url()).hash, "");
  });
});

test("any view is downloaded as it is filtered and sorted", async () => {
  await visit("/browse?carrier=DHL&tracking_number_prefix=crowd&sort=-tracking_number&limit=10", {}, async (page) => {
    await answered(page);
    const [name, csv] = await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click());
    assert.match(name, /^shipments-[0-9a-f]+\.csv$/);
    const lines = csv.trim().split("\r\n");
    assert.equal(lines.length, 1 + CROWD / 2);
    assert.ok(lines[1].startsWith(`CROWD${1000 + CROWD - 2},DHL`), lines[1]);
  });
});

/** A server that keeps changes, and one where all need a key. */
let live, keyed, keys;
before(async () => {
  live = await serve("--changes", "5", "--watch", "1s", "--status-map", "builtin");
  keys = `${live.data}.keys`;
  await writeFile(keys, `desk:${KEY} scope=lookup,list\n`, { mode: 0o600 });
  keyed = await serve("--api-keys-file", keys, "--changes", "5", "--watch", "1s");
});
after(async () => {
  await Promise.all([live?.end(), keyed?.end()]);
});

const versionOf = async ({ url }, headers) => (await (await fetch(`${url}/v1/dataset`, { headers })).json()).version;

/** Lets the server serve another export. */
async function publish(server, csv, headers) {
  const before = await versionOf(server, headers);
  await writeFile(server.data, csv);
  await eventually(async () => (await versionOf(server, headers)) !== before, true);
}

test("a key downloads what a link cannot, and sees no changes without the scope", async () => {
  const headers = { "X-API-Key": KEY };
  await publish(keyed, CSV.replaceAll("delivered", "lost"), headers);
  await visit("/browse?carrier=DHL", { url: keyed.url, failing: true }, async (page) => {
    await page.getByLabel("This needs an API key:").fill(KEY);
    await page.keyboard.press("Enter");
    await answered(page);
    const [name, csv] = await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click());
    assert.match(name, /^shipments-[0-9a-f]+\.csv$/);
    assert.equal(csv.trim().split("\r\n").length, 2 + 66);
    await eventually(() => page.locator("#download").textContent(), "Download CSV");
    assert.equal(await page.locator("#export").textContent(), "");
    await paste(page, "TN12345678\nNOPE");
    await eventually(() => summary(page), "1 of 2 numbers found");
  });
});

test("without --changes nothing is said of them", async () => {
  await visit("/browse", {}, async (page, requests) => {
    await answered(page);
    await page.locator("#age time").waitFor();
    assert.ok(!(await page.locator("#export").isVisible()));
    assert.ok(!requests.some((url) => url.includes("/v1/changes")));
  });
});

test("what changed with the last export is told, filtered, paged and downloaded", async () => {
  const header = CSV.slice(0, CSV.indexOf("\n") + 1);
  const changed = header + '"NEW1","DHL","a","b","Book","1","1","B","announced"\n' + CSV.slice(header.length).split("\n").filter((line) => !line.startsWith('"TOWN')).join("\n").replaceAll('"scanned"', '"delivered"');
  await visit("/browse", { url: live.url }, async (page) => {
    await answered(page);
    assert.equal(await page.locator("#export").textContent(), "");
  });
  await publish(live, changed);
  await visit("/browse", { url: live.url }, async (page) => {
    await answered(page);
    await eventually(() => page.locator("#export").textContent(), "With the last export: 1 added, 44 changed, 12 removed");
    await assertAccessible(page);
    await page.getByRole("link", { name: "44 changed" }).click();
    await eventually(() => summary(page), "44 changes · with the last export");
    assert.equal(await focused(page), "summary");
    const cells = await page.locator("#rows tr").nth(1).locator("td").allTextContents();
    assert.deepEqual(cells, ["changed", "CROWD1002", "DHL", "scanned", "delivered", "Status, Stage"]);
    await assertAccessible(page);
    await page.getByRole("link", { name: "All", exact: true }).click();
    await eventually(() => summary(page), "57 changes · with the last export");
    const range = () => page.locator(".pages b").first().textContent();
    assert.equal(await range(), "1–50 of 57");
    await page.getByRole("link", { name: "Next" }).first().click();
    await eventually(range, "51–57 of 57");
    assert.deepEqual(await firsts(page), Array(7).fill("removed"));
    assert.equal(await page.locator("#rows a").count(), 0);
    await page.getByRole("link", { name: "Previous" }).first().click();
    await eventually(range, "1–50 of 57");
    await page.reload();
    await eventually(range, "1–50 of 57");
    await page.getByLabel("Carrier").selectOption("GLS");
    await eventually(() => summary(page), "13 changes · with the last export");
    await page.getByLabel("Status").selectOption("delivered");
    await eventually(() => summary(page), "1 change · with the last export");
    const [name, csv] = await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click());
    assert.equal(name, "changes.csv");
    assert.equal(csv, '\uFEFF"change","tracking_number","carrier","previous_status","status","fields"\r\n"changed","00340434161094938","GLS","scanned","delivered","status stage"\r\n');
    await page.getByRole("link", { name: "Back to all shipments" }).click();
    await eventually(() => summary(page), `${SHIPMENTS - 11} shipments`);
  });
  for (const [width, colorScheme] of [[PHONE, "light"], [NARROW, "dark"]]) {
    await visit("/browse", { url: live.url, width, colorScheme }, async (page) => {
      await answered(page);
      await page.getByRole("link", { name: "44 changed" }).click();
      await eventually(() => summary(page), "44 changes · with the last export");
      await assertAccessible(page);
    });
  }
  await visit(`/browse?since=${"0".repeat(32)}&kind=added`, { url: live.url, failing: true }, async (page) => {
    await page.locator("#none", { hasText: "These changes are no longer known" }).waitFor();
    await assertAccessible(page);
    await page.getByRole("link", { name: "Back to all shipments" }).click();
    await eventually(() => summary(page), `${SHIPMENTS - 11} shipments`);
  });
});

test("a new export is offered, and nothing moves until it is wanted", async () => {
  const quick = (page) => page.clock.install();
  await visit("/browse?carrier=DHL", { url: live.url, prepare: quick }, async (page) => {
    await answered(page);
    const count = await summary(page);
    await publish(live, `${CSV}"LATEST","DHL","a","b","Book","1","1","B","announced"\n`);
    await page.clock.runFor(31000);
    await page.getByText("There is new data.").waitFor();
    assert.equal(await summary(page), count);
    await assertAccessible(page);
    const place = await page.locator("#rows tr").first().boundingBox();
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await eventually(() => page.locator("#rows a", { hasText: "CROWD1000" }).count(), 1);
    await eventually(() => summary(page), "67 shipments");
    assert.equal(await page.locator("#news").textContent(), "");
    await eventually(async () => (await page.locator("#rows tr").first().boundingBox())?.y, place.y);
  });
});

test("a file with newer data than the list is said to have it, with and without a key", async () => {
  for (const [server, headers] of [[live, {}], [keyed, { "X-API-Key": KEY }]]) {
    const withKey = (page) => page.addInitScript((key) => key && sessionStorage.setItem("waybill-key", key), headers["X-API-Key"]);
    await visit("/browse?carrier=DHL", { url: server.url, prepare: withKey, failing: true }, async (page) => {
      await answered(page);
      const count = await summary(page);
      await publish(server, `${CSV}"NEWER","DHL","a","b","Book","1","1","B","announced"\n`, headers);
      const version = await versionOf(server, headers);
      const [name, csv] = await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click());
      assert.ok(name.startsWith("shipments-") && version.startsWith(name.slice(10, -4)), `${name} ${version}`);
      assert.ok(csv.includes("NEWER"));
      await page.getByRole("status").getByText("The file has newer data than the list here.").waitFor();
      await page.getByText("There is new data.").waitFor();
      assert.equal(await summary(page), count);
      await assertAccessible(page);
      await page.getByRole("button", { name: "Show", exact: true }).click();
      await eventually(() => page.getByText("The file has newer data").count(), 0);
      await downloaded(page, () => page.getByRole("link", { name: "Download CSV" }).click());
      assert.equal(await page.getByText("The file has newer data").count(), 0);
    });
  }
});

test("changes say since when they are, and stay those of the last export", async () => {
  const server = await serve("--changes", "5", "--watch", "1s");
  const first = await versionOf(server);
  const quick = (page) => page.clock.install();
  try {
    await visit("/browse", { url: server.url, prepare: quick }, async (page) => {
      await answered(page);
      await publish(server, CSV.replaceAll('"scanned"', '"delivered"'));
      const second = await versionOf(server);
      await page.reload();
      await page.getByRole("link", { name: "56 changed" }).click();
      await eventually(() => summary(page), "56 changes · with the last export");
      await publish(server, CSV.replaceAll('"scanned"', '"delivered"').replaceAll('"in-transit"', '"scanned"'));
      await page.clock.runFor(31000);
      await page.getByRole("button", { name: "Show", exact: true }).click();
      await eventually(() => summary(page), "45 changes · with the last export");
      assert.equal(search(page), `?since=${second}&kind=changed`);
      await page.goBack();
      const { modified_at } = await (await fetch(`${server.url}/v1/dataset`)).json();
      const year = new Date(modified_at).getFullYear();
      await eventually(async () => (await summary(page)).replace(/\d\d? \w{3,4} \d{4}(,| at) \d\d:\d\d$/, "…"), "101 changes · since the export of …");
      assert.ok((await summary(page)).includes(` ${year}`), await summary(page));
      await page.emulateMedia({ media: "print" });
      assert.equal(await page.locator("#paper").textContent(), "Change: changed · 1–50 of 101");
      assert.ok(await page.locator("#paper").isVisible());
    });
    await visit(`/browse?since=${first}&kind=changed&carrier=GLS`, { url: server.url }, async (page) => {
      await eventually(() => summary(page), `13 changes · since an earlier export (${first.slice(0, 8)})`);
      assert.equal(await page.locator("#paper").textContent(), "Change: changed · Carrier: GLS");
      assert.ok(!(await page.locator("#paper").isVisible()));
      await assertAccessible(page);
    });
  } finally {
    await server.end();
  }
});

test("rows have the icons of stages, and stages their names", async () => {
  await visit("/browse?stage=delivered", { url: live.url }, async (page) => {
    await answered(page);
    assert.deepEqual(await page.locator("#chosen li").first().textContent(), "Remove filter Stage: Delivered");
    assert.equal(await page.locator("#rows").getByRole("img", { name: "Delivered" }).count(), await page.locator("#rows tr").count());
    const names = await page.getByRole("group", { name: "Stage", exact: true }).getByRole("checkbox").evaluateAll((all) => all.map((one) => one.labels[0].children[1].textContent));
    assert.ok(names.includes("On its way"), names.join());
    await assertAccessible(page);
  });
});

test("on paper the list has its columns and no controls", async () => {
  await visit("/browse?limit=100&carrier=DHL", { url: live.url, width: 700 }, async (page) => {
    await answered(page);
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.locator("#rows tr").first().evaluate((row) => getComputedStyle(row).display), "table-row");
    assert.equal(await page.locator("thead").evaluate((head) => getComputedStyle(head).display), "table-header-group");
    for (const hidden of ["#form", "#tools", "#pager", ".bar nav"]) assert.ok(!(await page.locator(hidden).first().isVisible()), hidden);
    assert.ok(await page.getByText("Carrier: DHL").isVisible());
    await assertFits(page);
    const pdf = await page.pdf({ format: "A4" });
    const pages = pdf.toString("latin1").match(/\/Type \/Page\b/g).length;
    assert.ok(pages >= 2 && pages <= 3, `${pages} pages`);
  });
});

test("paper says what is on it, and when it was written in the reader's region", async () => {
  for (const [locale, date] of [["en-GB", /^\d\d\/\d\d\/\d{4}, \d\d:\d\d:\d\d$/], ["de-AT", /^\d\d?\.\d\d?\.\d{4}, \d\d:\d\d:\d\d$/]]) {
    await visit("/browse?tracking_number_prefix=crowd&status=scanned&limit=10&offset=10", { locale }, async (page) => {
      await answered(page);
      const time = page.locator("#age time");
      await time.waitFor();
      assert.match(await time.getAttribute("title"), date);
      await page.emulateMedia({ media: "print" });
      assert.match(await page.locator("#paper").textContent(), /^11–20 \S+ 43$/);
      assert.ok(await page.locator("#paper").isVisible());
      assert.match(await page.locator("#chosen").innerText(), /crowd…/);
      const heads = await page.locator("th").evaluateAll((all) => all.map((head) => getComputedStyle(head).whiteSpace));
      assert.deepEqual(new Set(heads), new Set(["nowrap"]));
      await page.setViewportSize({ width: 700, height: 800 });
      await assertFits(page);
    });
  }
});

test("the desk fits in all languages", async () => {
  for (const [locale, text] of [["de", "Sendungen"], ["fr", "envois"], ["es", "envíos"], ["it", "spedizioni"], ["nl", "zendingen"]]) {
    await visit("/browse?carrier=DHL", { url: live.url, width: NARROW, locale }, async (page) => {
      await answered(page);
      assert.ok((await summary(page)).endsWith(` ${text}`), await summary(page));
      await assertFits(page);
      await page.setViewportSize({ width: WIDE, height: 800 });
      await assertFits(page);
      const broken = await page.locator("th").evaluateAll((heads) => heads.filter((head) => head.offsetHeight > 36).map((head) => head.textContent));
      assert.deepEqual(broken, []);
    });
  }
});

test("callers without a key have lists of what they may see", async () => {
  const server = await serve("--public-view", "limited", "--anonymous", "lookup");
  const kept = (page) => page.addInitScript((lines) => sessionStorage.setItem("waybill-list", lines), JSON.stringify(Array.from({ length: 25 }, (_, at) => `CROWD${1000 + at}`)));
  try {
    await visit("/browse#list", { url: server.url, prepare: kept }, async (page, requests) => {
      await eventually(() => summary(page).catch(() => ""), "25 of 25 numbers found");
      const cells = await page.locator("#rows tr").first().locator("td").allTextContents();
      assert.deepEqual(cells, ["CROWD1000", "DHL", "in-transit", "Germany", "Germany", ""]);
      // Each request may have 20 lookups.
      assert.equal(requests.filter((url) => url.endsWith("/v1/lookup")).length, 2);
      await assertAccessible(page);
    });
  } finally {
    await server.end();
  }
});
