import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { NARROW, WIDE, assertAccessible, assertFits, serve, visit } from "./harness.js";

/** Each stage once, by the carriers and statuses of `data.js`. */
const MAP = `
[carrier.DHL]
scanned = "pre_transit"
in-transit = "in_transit"
delivered = "delivered"
[carrier.UPS]
in-transit = "out_for_delivery"
delivered = "available_for_pickup"
scanned = "attempt_failed"
inbound-scan = "returning"
[carrier.DPD]
delivery = "exception"
[carrier.FedEx]
transit = "cancelled"
`;
const STEPS = ["Announced", "On its way", "Out for delivery", "Delivered"];
/** What is shown of each number: the steps, which of them it is at, whether something is wrong, and the sentence. */
const SHOWN = [
  ["CROWD1002", STEPS, 0, false, "The carrier knows of the parcel, but does not have it yet."],
  ["CROWD1000", STEPS, 1, false, "The carrier has the parcel."],
  ["CROWD1003", STEPS, 2, false, "The parcel is on the vehicle that delivers it."],
  ["CROWD1001", STEPS.with(2, "Ready to collect"), 2, false, "The parcel waits to be collected."],
  ["CROWD1004", STEPS, 3, false, "The parcel has arrived."],
  ["CROWD1005", STEPS.with(2, "Delivery failed"), 2, true, "The carrier could not hand the parcel over."],
  ["EXACT", ["Going back"], 0, true, "The parcel goes back to the sender."],
  ["SHARED-1", ["Held up"], 0, true, "Something holds the parcel up; the carrier knows more."],
  ["SHARED-1", ["Cancelled"], 0, true, "The shipment was called off."],
  ["00340434161094938", [], -1, false, undefined],
];
const QUERY = `/?${new URLSearchParams([...new Set(SHOWN.map(([number]) => number))].map((number) => ["n", number]))}`;

let full, limited, dir;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), "waybill-map-"));
  const map = join(dir, "map.toml");
  await writeFile(map, MAP);
  full = await serve("--status-map", map);
  limited = await serve("--status-map", map, "--public-view", "limited", "--anonymous", "lookup");
});
after(async () => {
  await Promise.all([full?.end(), limited?.end(), rm(dir, { recursive: true })]);
});

const shown = (page) => page.locator("article").evaluateAll((all) => all.map((card) => {
  const steps = [...card.querySelectorAll(".steps li")];
  const now = steps.findIndex((step) => step.ariaCurrent === "step" || step.getAttribute("aria-current") === "step");
  const sentence = card.querySelector(".steps p")?.textContent;
  return [card.querySelector("h3").textContent, steps.map((step) => step.textContent), now, steps.some((step) => step.className === "odd"), sentence];
}));

test("each stage is shown as a step or as what is wrong, with one sentence", async () => {
  for (const { url } of [full, limited]) {
    await visit(QUERY, { url }, async (page) => {
      await page.locator("#results:not([hidden]):not(.busy)").waitFor();
      assert.deepEqual(await shown(page), SHOWN);
      await assertAccessible(page);
    });
    await visit(QUERY, { url, width: NARROW }, async (page) => {
      await page.locator("#results:not([hidden]):not(.busy)").waitFor();
      await assertFits(page);
    });
  }
});

test("without a map the most usual statuses have steps on the page, and others none", async () => {
  await visit(`/?${new URLSearchParams(["TN12345678", "CROWD1001", "RR 12, 34-5"].map((number) => ["n", number]))}`, {}, async (page) => {
    await page.locator("#results:not([hidden]):not(.busy)").waitFor();
    assert.deepEqual((await shown(page)).map(([, , now]) => now), [1, 3, -1]);
    await assertAccessible(page);
  });
});

test("the icons of steps differ where colours do", async () => {
  await visit(QUERY, { url: full.url, width: WIDE }, async (page) => {
    await page.locator("#results:not([hidden]):not(.busy)").waitFor();
    const icons = await page.locator("article").evaluateAll((all) => all.map((card) => [...card.querySelectorAll(".steps li")].map((step) => getComputedStyle(step, "::before").content[1]).join("")));
    assert.deepEqual(icons, ["●○○○", "✓●○○", "✓✓●○", "✓✓●○", "✓✓✓✓", "✓✓!○", "!", "!", "!", ""]);
  });
});

test("the shipments can be filtered by stage", async () => {
  await visit("/browse?stage=delivered", { url: full.url }, async (page) => {
    await page.getByRole("group", { name: "Stage" }).waitFor();
    assert.equal(await page.getByRole("group", { name: "Stage" }).getByRole("checkbox", { checked: true }).count(), 1);
    assert.deepEqual(new Set(await page.locator(".state").allTextContents()), new Set(["delivered"]));
    await assertAccessible(page);
  });
});
