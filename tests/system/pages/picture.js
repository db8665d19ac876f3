// Draws the picture of the README: node picture.js BASE_URL FILE

import { chromium } from "playwright-core";

const [base, file] = process.argv.slice(2);

// Windows, and the pixels of the picture for one of theirs.
const PHONE = { width: 390, height: 844, scale: 1.1 };
const DESKTOP = { width: 1120, height: 872, scale: 1.16 };
const PICTURE = { width: 1930, height: 1146 };

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });

/** A PNG of a page whose list is there, as a data URL. */
async function shot(path, { scale, ...viewport }) {
  const context = await browser.newContext({ viewport, deviceScaleFactor: scale, colorScheme: "light", reducedMotion: "reduce", locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(base + path);
  await page.locator("#results").waitFor();
  const png = await page.screenshot();
  await context.close();
  return `data:image/png;base64,${png.toString("base64")}`;
}

/** A shipment to show: on its way, with several articles. */
async function example() {
  const response = await fetch(`${base}/v1/shipments?status=in-transit&sender_country=germany&receiver_country=france&limit=100`);
  const { results } = await response.json();
  return results.find(({ articles }) => articles.length === 3);
}

const { tracking_number, carrier } = await example();
const track = await shot(`/?${new URLSearchParams({ n: tracking_number, carrier })}`, PHONE);
const browse = await shot("/browse?status=in-transit&receiver_country=France", DESKTOP);

const page = await browser.newPage({ viewport: PICTURE });
await page.setContent(`<!doctype html><style>
  body { margin: 0; position: relative; height: 100vh; background: #dfeae6; }
  div { position: absolute; overflow: hidden; box-shadow: 0 14px 40px #0e3b3238; }
  .phone { left: 56px; top: 97px; border: 12px solid #14201d; border-radius: 56px; }
  .desktop { left: 574px; top: 46px; border-radius: 16px; }
  .bar { display: flex; gap: 10px; align-items: center; height: 41px; padding-left: 20px; border-bottom: 1px solid #dde4e1; background: #f3f5f4; }
  .bar i { width: 15px; height: 15px; border-radius: 50%; background: #c3cecb; }
  img { display: block; }
</style>
<div class="phone"><img src="${track}"></div>
<div class="desktop"><span class="bar"><i></i><i></i><i></i></span><img src="${browse}"></div>`);
await page.locator("img").evaluateAll((images) => Promise.all(images.map((image) => image.decode())));
await page.screenshot({ path: file });
await browser.close();
