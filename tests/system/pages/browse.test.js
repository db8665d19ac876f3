import assert from "node:assert/strict";
import { test } from "node:test";
import { CROWD, IMAGE, LONG, SCRIPT, SHIPMENTS } from "./data.js";
import { DESK_BYTES_MAX, NARROW, WIDE, assertAccessible, assertFits, eventually, focused, shared, visit } from "./harness.js";

const summary = (page) => page.locator("#summary").textContent();
const numbers = (page) => page.locator("tbody a").allTextContents();
const range = (page) => page.locator(".pages b").first().textContent();
const chips = async (page) => (await page.locator("#chosen li").allTextContents()).map((chip) => chip.trim());
const answered = (page) => page.locator("#results:not([hidden]):not(.busy)").waitFor();
const search = (page) => new URL(page.url()).search;
const value = (page, facet, name) => page.getByRole("group", { name: facet, exact: true }).getByRole("checkbox", { name, exact: false });
/** `[value, count, is chosen]` of what a facet shows. */
const shown = (page, facet) => page.getByRole("group", { name: facet, exact: true }).locator("label:visible").evaluateAll((labels) => labels.map((label) => [label.children[1].textContent, Number(label.children[2].textContent), label.firstChild.checked]));
/** A link of the pager above the list. */
const leaf = (page, name) => page.getByRole("navigation", { name: "Pages, above the list" }).getByRole("link", { name });
const crowd = (from, to) => Array.from({ length: to - from }, (_, at) => `CROWD${1000 + from + at}`);

test("the page is small and comes in one round trip", async () => {
  const answer = await fetch(`${shared.url}/browse`);
  const bytes = (await answer.arrayBuffer()).byteLength;
  assert.ok(bytes < DESK_BYTES_MAX, `${bytes} bytes`);
  await visit("/browse", {}, async (page, requests) => {
    await answered(page);
    const paths = requests.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).pathname);
    assert.deepEqual(paths.sort(), ["/browse", "/v1/dataset", "/v1/facets", "/v1/shipments"]);
  });
});

test("all shipments are counted, paged and divided by facets", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    assert.equal(await summary(page), `${SHIPMENTS} shipments`);
    assert.equal(await range(page), `1–50 of ${SHIPMENTS}`);
    assert.equal((await numbers(page)).length, 50);
    const cells = await page.locator("tbody tr").first().locator("td").allTextContents();
    assert.deepEqual(cells, ["TN12345678", "DHL", "in-transit", "Street 1, 10115 Berlin, Germany", "Street 10, 75001 Paris, France", "2"]);
    assert.deepEqual((await shown(page, "Carrier")).slice(0, 3), [["DHL", CROWD / 2 + 1, false], ["UPS", CROWD / 2 + 1, false], ["GLS", 14, false]]);
    assert.deepEqual((await shown(page, "From country"))[4], ["Norway", 12, false]);
    assert.equal(await page.getByRole("table", { name: `${SHIPMENTS} shipments` }).count(), 1);
    await assertAccessible(page);
  });
});

test("filters narrow the list and the other facets, and their own facet still offers the rest", async () => {
  await visit("/browse", {}, async (page) => {
    await value(page, "Status", "scanned").click();
    await eventually(() => summary(page), "56 shipments");
    assert.equal(search(page), "?status=scanned");
    await value(page, "Carrier", "DHL").click();
    await eventually(() => summary(page), "22 shipments");
    assert.deepEqual((await shown(page, "Carrier")).slice(0, 2), [["DHL", 22, true], ["UPS", 21, false]].sort((a, b) => b[1] - a[1]));
    assert.deepEqual((await shown(page, "Status")).map(([name, , chosen]) => [name, chosen]).sort(), [["delivered", false], ["in-transit", false], ["scanned", true]]);
    // Two values of one facet: either.
    await value(page, "Carrier", "UPS").click();
    await eventually(() => summary(page), "43 shipments");
    assert.deepEqual(await chips(page), ["Remove filter Carrier: DHL", "Remove filter Carrier: UPS", "Remove filter Status: scanned", "Clear all"]);
    assert.equal(search(page), "?carrier=DHL&carrier=UPS&status=scanned");
    await assertAccessible(page);
    await page.getByRole("link", { name: "Remove filter Carrier: DHL" }).click();
    await eventually(() => summary(page), "21 shipments");
    assert.equal(await focused(page), "summary");
    await value(page, "Carrier", "UPS").click();
    await eventually(() => summary(page), "56 shipments");
    await page.getByRole("link", { name: "Clear all" }).click();
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
    assert.equal(search(page), "");
    assert.ok(!(await page.locator("#chosen").isVisible()));
  });
});

test("the address reproduces the view, and back leads to the view before", async () => {
  await visit("/browse", {}, async (page) => {
    await value(page, "Carrier", "DHL").click();
    await eventually(() => range(page), "1–50 of 66");
    await leaf(page, "Next").click();
    await eventually(() => range(page), "51–66 of 66");
    const [rows, address] = [await numbers(page), search(page)];
    assert.equal(address, "?carrier=DHL&offset=50");
    await visit(`/browse${address}`, {}, async (again) => {
      await answered(again);
      assert.deepEqual(await numbers(again), rows);
      assert.equal(await value(again, "Carrier", "DHL").isChecked(), true);
    });
    await page.goBack();
    await eventually(() => range(page), "1–50 of 66");
    await page.goBack();
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
    assert.equal(await value(page, "Carrier", "DHL").isChecked(), false);
    await page.goForward();
    await eventually(() => summary(page), "66 shipments");
    assert.equal(await value(page, "Carrier", "DHL").isChecked(), true);
  });
});

test("pages follow each other to the end and back", async () => {
  await visit("/browse?carrier=dhl&carrier=UPS&sender_city=paris&sender_city=BERLIN", {}, async (page) => {
    await answered(page);
    const count = (await range(page)).split(" of ")[1];
    assert.equal(count, String((CROWD * 2) / 5 + 1));
    await page.getByLabel("Per page").selectOption("10");
    await eventually(() => range(page), `1–10 of ${count}`);
    const seen = await numbers(page);
    for (const [first, last] of [[11, 20], [21, 30], [31, 40], [41, 50], [51, 53]]) {
      await leaf(page, "Next").click();
      await eventually(() => range(page), `${first}–${last} of ${count}`);
      seen.push(...(await numbers(page)));
    }
    assert.equal(await leaf(page, "Next").count(), 0);
    assert.equal(await leaf(page, "Last").count(), 0);
    assert.deepEqual(seen, ["TN12345678", ...crowd(0, CROWD).filter((number) => [0, 2].includes(Number(number.slice(5)) % 5))]);
    await leaf(page, "Previous").click();
    await eventually(() => range(page), `41–50 of ${count}`);
    assert.match(search(page), /limit=10&offset=40/);
    await leaf(page, "First").click();
    await eventually(() => range(page), `1–10 of ${count}`);
    await leaf(page, "Last").click();
    await eventually(() => range(page), `51–53 of ${count}`);
    // Another filter starts again.
    await value(page, "Carrier", "UPS").click();
    await eventually(async () => (await range(page)).split("–")[0], "1");
  });
  await visit("/browse?offset=5000", {}, async (page) => {
    await page.locator("#none", { hasText: "There is nothing on this page" }).waitFor();
    await assertAccessible(page);
    await leaf(page, "Previous").click();
    await eventually(() => range(page), `151–${SHIPMENTS} of ${SHIPMENTS}`);
  });
  await visit("/browse?limit=7&offset=-1&what=ever&carrier=", {}, async (page) => {
    await eventually(() => range(page), `1–7 of ${SHIPMENTS}`);
    assert.equal(await page.getByLabel("Per page").inputValue(), "7");
  });
  await visit("/browse?limit=0", {}, async (page) => {
    await eventually(() => range(page), `1–50 of ${SHIPMENTS}`);
  });
});

test("numbers are found as they are typed, by how they begin", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    const field = page.getByLabel("Tracking number");
    for (const [typed, expected] of [
      ["00340 4341-6109", ["00340434161094938"]],
      ["shared", ["SHARED-1", "SHARED-1"]],
      ["RR 12, 34", ["RR 12, 34-5"]],
      ["crowd100", crowd(0, 10)],
    ]) {
      await field.fill(typed);
      await eventually(() => numbers(page), expected);
      assert.equal(search(page), `?${new URLSearchParams({ tracking_number_prefix: typed })}`);
      assert.equal(await focused(page), "number");
      await page.reload();
      await eventually(() => numbers(page), expected);
      assert.equal(await field.inputValue(), typed);
    }
    await field.press("Enter");
    await eventually(() => focused(page), "summary");
    await field.fill("NOPE");
    await page.locator("#none", { hasText: "No shipment matches all of these filters." }).waitFor();
    assert.equal(await summary(page), "0 shipments");
    await assertAccessible(page);
    await field.press("Escape");
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
    assert.equal(search(page), "");
  });
});

test("each letter is no step of the history, and an answer that comes late is not shown", async () => {
  let slow;
  const late = (page) => page.route(/tracking_number_prefix=CROWD1&/, (route) => (slow = route));
  await visit("/browse?carrier=DHL", { prepare: late }, async (page) => {
    await answered(page);
    await page.evaluate(() => (window.before = history.length));
    const field = page.getByLabel("Tracking number");
    await field.pressSequentially("CROWD1", { delay: 5 });
    await eventually(() => Boolean(slow), true);
    await field.pressSequentially("01");
    await eventually(() => summary(page), "5 shipments");
    await slow.continue().catch(() => {});
    assert.deepEqual(await numbers(page), crowd(10, 20).filter((_, at) => at % 2 === 0));
    assert.equal(await page.evaluate(() => history.length - window.before), 0);
    assert.equal(search(page), "?tracking_number_prefix=CROWD101&carrier=DHL");
  });
});

test("how a number begins is a chip like others", async () => {
  await visit("/browse?carrier=DHL", {}, async (page) => {
    await answered(page);
    await page.getByLabel("Tracking number").fill("crowd101");
    await eventually(() => summary(page), "5 shipments");
    assert.deepEqual(await chips(page), ["Remove filter Number: crowd101…", "Remove filter Carrier: DHL", "Clear all"]);
    await page.getByRole("link", { name: "Remove filter Number: crowd101…" }).click();
    await eventually(() => summary(page), "66 shipments");
    assert.equal(await page.getByLabel("Tracking number").inputValue(), "");
    assert.equal(search(page), "?carrier=DHL");
  });
});

test("an exact number of the address is a filter that can be removed", async () => {
  await visit("/browse?tracking_number=shared-1&carrier=DPD", {}, async (page) => {
    await eventually(() => numbers(page), ["SHARED-1"]);
    assert.deepEqual(await chips(page), ["Remove filter Number: shared-1", "Remove filter Carrier: DPD", "Clear all"]);
    await value(page, "Carrier", "FedEx").click();
    await eventually(() => summary(page), "2 shipments");
    await page.getByRole("link", { name: "Remove filter Number: shared-1" }).click();
    await eventually(() => search(page), "?carrier=DPD&carrier=FedEx");
  });
});

test("the list is sorted by number, up, down and as in the file", async () => {
  await visit("/browse?limit=10&tracking_number_prefix=crowd", {}, async (page) => {
    await answered(page);
    const head = page.getByRole("columnheader", { name: "Number" });
    const sort = () => head.evaluate((cell) => cell.ariaSort);
    assert.equal(await sort(), "none");
    await head.getByRole("button").click();
    await eventually(sort, "ascending");
    assert.equal(new URL(page.url()).searchParams.get("sort"), "tracking_number");
    assert.deepEqual(await numbers(page), crowd(0, 10));
    await page.keyboard.press("Enter");
    await eventually(sort, "descending");
    assert.deepEqual(await numbers(page), crowd(CROWD - 10, CROWD).reverse());
    assert.equal(new URL(await page.locator("#download").evaluate(({ href }) => href)).searchParams.get("sort"), "-tracking_number");
    await assertAccessible(page);
    await page.keyboard.press("Enter");
    await eventually(sort, "none");
    assert.equal(new URL(page.url()).searchParams.get("sort"), null);
  });
  await visit("/browse?limit=10", { width: NARROW }, async (page) => {
    await answered(page);
    await page.getByLabel("Order").selectOption("Number, descending");
    await eventually(async () => (await numbers(page))[0], "TOWN9");
  });
});

test("chosen values stay, though nothing has them any more", async () => {
  await visit("/browse?carrier=gls&carrier=Nobody&sender_country=Serbia", {}, async (page) => {
    await answered(page);
    assert.equal(await summary(page), "0 shipments");
    const carriers = await shown(page, "Carrier");
    assert.deepEqual(carriers.filter(([, , chosen]) => chosen), [["gls", 0, true], ["Nobody", 0, true]]);
    assert.deepEqual((await shown(page, "From country")).find(([name]) => name === "Serbia"), ["Serbia", 0, true]);
    await value(page, "From country", "Serbia").click();
    await eventually(() => summary(page), "14 shipments");
    // What had the focus is no more.
    assert.equal(await focused(page), "summary");
    assert.deepEqual((await shown(page, "Carrier")).filter(([, , chosen]) => chosen), [["GLS", 14, true], ["Nobody", 0, true]]);
  });
});

test("an empty value is shown and cannot be chosen", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    const none = value(page, "Status", "(none)");
    assert.equal(await none.isDisabled(), true);
    assert.equal(await none.isChecked(), false);
  });
});

test("long facets are shown on demand", async () => {
  await visit("/browse?sender_city=Town+3", {}, async (page) => {
    await answered(page);
    const unfold = page.getByRole("group", { name: "From city", exact: true }).getByRole("button");
    const few = await shown(page, "From city");
    assert.equal(few.length, 9);
    assert.deepEqual(few.at(-1), ["Town 3", 1, true]);
    await unfold.click();
    assert.equal((await shown(page, "From city")).length, 21);
    assert.equal(await unfold.getAttribute("aria-expanded"), "true");
    // It stays so when a filter changes.
    await value(page, "From city", "Town 4").click();
    await eventually(() => summary(page), "2 shipments");
    assert.equal((await shown(page, "From city")).length, 21);
    await unfold.click();
    assert.equal((await shown(page, "From city")).length, 10);
  });
});

test("long facets can be searched", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    const facet = page.getByRole("group", { name: "From city", exact: true });
    const find = facet.getByRole("searchbox", { name: "Find in From city" });
    await find.fill("town 1");
    assert.deepEqual((await shown(page, "From city")).map(([name]) => name).sort(), ["Town 1", "Town 10", "Town 11"]);
    await assertAccessible(page);
    await value(page, "From city", "Town 11").click();
    await eventually(() => summary(page), "1 shipment");
    // What is searched for stays, and what is chosen is shown whatever it is.
    assert.equal(await find.inputValue(), "town 1");
    await find.fill("nowhere");
    assert.deepEqual((await shown(page, "From city")).map(([name]) => name), ["Town 11"]);
    await facet.getByText("None of the listed.").waitFor();
    await assertAccessible(page);
    await find.press("Enter");
    await find.press("Escape");
    assert.equal(await find.inputValue(), "");
    assert.equal((await shown(page, "From city")).length, 9);
    assert.equal(await summary(page), "1 shipment");
    assert.equal(await page.getByRole("group", { name: "Carrier", exact: true }).getByRole("searchbox").count(), 0);
  });
});

test("facets are searched without accents, and Enter chooses what is left alone", async () => {
  const cities = ["Köln", "Łódź", "Tromsø", "Gießen", "København", "Koprivnica"];
  const more = (page) => page.route("**/v1/facets*", async (route) => {
    const body = await (await route.fetch()).json();
    body.facets.sender_city?.push(...cities.map((value) => ({ value, count: 1 })));
    await route.fulfill({ json: body });
  });
  await visit("/browse", { prepare: more }, async (page) => {
    await answered(page);
    const find = page.getByRole("searchbox", { name: "Find in From city" });
    const names = async () => (await shown(page, "From city")).map(([name]) => name);
    for (const [typed, expected] of [["kol", ["Köln"]], ["LODZ", ["Łódź"]], ["tromso", ["Tromsø"]], ["giessen", ["Gießen"]], ["gieß", ["Gießen"]], ["kobenh", ["København"]], ["kop", ["Koprivnica"]]]) {
      await find.fill(typed);
      assert.deepEqual(await names(), expected, typed);
    }
    await find.fill("town 1");
    await find.press("Enter");
    assert.equal(search(page), "");
    await find.fill("town 11");
    await find.press("Enter");
    await eventually(() => summary(page), "1 shipment");
    assert.equal(search(page), "?sender_city=Town+11");
    // It is chosen, and stays so.
    await find.press("Enter");
    assert.equal(await value(page, "From city", "Town 11").isChecked(), true);
  });
});

test("Enter goes to the list of what was just typed", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    const field = page.getByLabel("Tracking number");
    await field.focus();
    await page.evaluate(() => (window.before = history.length));
    await page.keyboard.type("CROWD101");
    await page.keyboard.press("Enter");
    await eventually(() => focused(page), "summary");
    assert.equal(await summary(page), "10 shipments");
    assert.equal(await page.evaluate(() => history.length - window.before), 0);
  });
});

test("a filter after typing is a step of the history, and typing is none", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    const field = page.getByLabel("Tracking number");
    await page.evaluate(() => (window.before = history.length));
    // Before the typing has come to rest.
    await page.evaluate(() => {
      const field = document.getElementById("number");
      field.value = "CROWD101";
      field.dispatchEvent(new Event("input"));
      document.querySelector("#facets [value=DHL]").click();
    });
    await eventually(() => summary(page), "5 shipments");
    assert.equal(search(page), "?tracking_number_prefix=CROWD101&carrier=DHL");
    assert.equal(await page.evaluate(() => history.length - window.before), 1);
    await page.goBack();
    await eventually(() => summary(page), "10 shipments");
    assert.equal(search(page), "?tracking_number_prefix=CROWD101");
    assert.equal(await field.inputValue(), "CROWD101");
    assert.equal(await value(page, "Carrier", "DHL").isChecked(), false);
  });
});

test("each row leads to its shipment on the tracking page", async () => {
  for (const [number, carrier] of [["RR 12, 34-5", "GLS"], ["HOSTILE", SCRIPT], ["SHARED-1", "FedEx"]]) {
    await visit(`/browse?${new URLSearchParams({ tracking_number: number, carrier })}`, {}, async (page) => {
      await page.getByRole("link", { name: number, exact: true }).click();
      await page.locator("article").waitFor();
      assert.deepEqual(await page.locator("h3").allTextContents(), [number]);
      assert.equal(await page.locator("h3 + p").textContent(), carrier);
      await page.goBack();
      await eventually(() => numbers(page), [number]);
    });
  }
});

test("whatever the data holds is text", async () => {
  for (const [width, colorScheme] of [[NARROW, "dark"], [WIDE, "light"]]) {
    await visit("/browse?limit=100", { width, colorScheme }, async (page, requests) => {
      await answered(page);
      const text = await page.locator("main").textContent();
      for (const hostile of [SCRIPT, IMAGE, LONG]) assert.ok(text.includes(hostile), hostile);
      assert.equal(await page.locator("main :is(script, img)").count(), 0);
      await page.locator("#filters").evaluate((filters) => (filters.open = true));
      await value(page, "Carrier", SCRIPT).click();
      await eventually(() => summary(page), "1 shipment");
      assert.equal(new URL(page.url()).searchParams.get("carrier"), SCRIPT);
      assert.ok(!requests.some((url) => url.endsWith("/ran")));
      await assertAccessible(page);
    });
  }
});

test("the keyboard is enough, and a filter keeps the focus", async () => {
  await visit("/browse", {}, async (page) => {
    await answered(page);
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "Skip the filters");
    for (const stop of ["Waybill", "Track", "Browse", "API", "number"]) {
      await page.keyboard.press("Tab");
      assert.equal(await focused(page), stop);
    }
    await page.keyboard.press("Tab");
    const box = () => page.evaluate(() => [document.activeElement.name, document.activeElement.value]);
    assert.deepEqual(await box(), ["carrier", "DHL"]);
    await page.keyboard.press("Space");
    await eventually(() => summary(page), "66 shipments");
    assert.deepEqual(await box(), ["carrier", "DHL"]);
    await page.keyboard.press("Space");
    await eventually(() => summary(page), `${SHIPMENTS} shipments`);
    assert.deepEqual(await box(), ["carrier", "DHL"]);
  });
});

test("on a phone the filters are folded and the list has no columns", async () => {
  await visit("/browse?status=scanned&limit=10", { width: NARROW }, async (page) => {
    await answered(page);
    assert.ok(!(await value(page, "Carrier", "DHL").isVisible()));
    await assertAccessible(page);
    await page.locator("summary").focus();
    await page.keyboard.press("Enter");
    const done = page.getByRole("button", { name: "Show" }).filter({ hasText: "shipment" });
    await eventually(() => done.textContent(), "Show 56 shipments");
    await value(page, "Carrier", "DHL").click();
    await eventually(() => done.textContent(), "Show 22 shipments");
    // It is in sight wherever somebody is among the filters.
    const { y, height } = await done.boundingBox();
    assert.ok(y > 0 && y + height <= 800, `${y} ${height}`);
    await assertAccessible(page);
    await done.click();
    assert.equal(await focused(page), "summary");
    assert.ok(!(await value(page, "Carrier", "DHL").isVisible()));
    await page.setViewportSize({ width: WIDE, height: 800 });
    assert.ok(await value(page, "Carrier", "DHL").isVisible());
  });
  for (const width of [NARROW, 768, 1024, WIDE]) {
    await visit("/browse?limit=50", { width }, async (page) => {
      await answered(page);
      await assertFits(page);
    });
  }
});

test("a server that is gone is said to be, and can be tried again", async () => {
  const isGone = (page) => page.route("**/v1/**", (route) => route.abort());
  await visit("/browse?carrier=DHL", { prepare: isGone, failing: true }, async (page) => {
    await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
    await assertAccessible(page);
    await page.unroute("**/v1/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await eventually(() => summary(page), "66 shipments");
  });
});

test("a server that is loading is waited for", async () => {
  let refusals = 3;
  const loading = (page) => page.route("**/v1/**", (route) => {
    if (refusals-- <= 0) return route.continue();
    return route.fulfill({ status: 503, headers: { "Retry-After": "1" }, contentType: "application/problem+json", body: "{}" });
  });
  await visit("/browse", { prepare: loading, failing: true }, async (page) => {
    await page.getByRole("status").getByText("The server is loading its data.").waitFor();
    await assertAccessible(page);
    await eventually(() => summary(page).catch(() => ""), `${SHIPMENTS} shipments`);
    await page.locator("#age time").waitFor();
  });
});
