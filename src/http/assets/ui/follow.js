
// The tracking page renews itself while it is open and visible, quietly: what is open, typed or focused stays.

/** A server has few places for one client, and keeps that of a page that was closed until its time is over. */
const WAIT_S = 25;
/** Time between two requests that found nothing new, and after the first and after many failures. */
const EVERY_MS = 60000;
const RETRY_MS = 5000;
const RETRY_MAX_MS = 300000;
/** How long it says so. */
const SAID_MS = 15000;

/** Puts what is new into what is shown. A part that is the same stays, and so does a form. */
function renew(shown, fresh) {
  if (shown.isEqualNode(fresh) || (shown.localName === "form" && fresh.localName === "form")) return;
  const parts = [...fresh.children];
  const isWhole = !shown.matches("#list, article, section, details");
  if (isWhole || shown.localName !== fresh.localName || shown.children.length !== parts.length) {
    const focused = shown.contains(document.activeElement) && document.activeElement.localName;
    shown.replaceWith(fresh);
    if (focused) (fresh.matches(focused) ? fresh : fresh.querySelector(focused))?.focus();
    return;
  }
  shown.className = fresh.className;
  parts.forEach((part, at) => renew(shown.children[at], part));
}

/** Waits about so long, and until the page is visible. False when the view has ended. */
async function patience(ms, signal) {
  await pause(ms * (0.8 + 0.4 * Math.random()));
  while (document.hidden && !signal.aborted) await new Promise((resolve) => addEventListener("visibilitychange", resolve, { once: true }));
  return !signal.aborted;
}

/** Follows one shipment until it goes or the view ends. */
async function follow(shipment, asking, again) {
  const { signal } = asking;
  const { tracking_number, carrier } = shipment;
  const path = `/v1/shipments/${[carrier, tracking_number].map(encodeURIComponent).join("/")}`;
  let etag = "";
  let failures = 0;
  let rest = 0;
  // Of two servers that are not as far as each other, one is ahead of what the other one said.
  let atOnce = 0;
  while (await patience(rest, signal)) {
    const started = Date.now();
    const hasWaited = () => Date.now() - started > EVERY_MS / 60;
    const postcode = postcodes.get(fold(tracking_number));
    const headers = { ...(etag && { "If-None-Match": etag }), ...keyHeader(), ...(/^[ -~]+$/.test(postcode || "") && { "Waybill-Postcode": postcode }) };
    try {
      const answer = await fetch(path + (etag && `?wait=${WAIT_S}`), { signal, headers, cache: "no-store" });
      const { status } = answer;
      if (status === 200) {
        const [fresh, tag] = [readJson(await answer.text()), answer.headers.get("ETag")];
        // What was asked for before a postcode was typed shows less than what is shown by now.
        const isLate = postcode !== postcodes.get(fold(tracking_number));
        if (!isLate && replaceShipment(fresh)) renewed(asking);
        // It is the receiver's no more, and each wrong one counts.
        if (!isLate && fresh.limited) postcodes.delete(fold(tracking_number));
        atOnce = hasWaited() ? 0 : atOnce + 1;
        rest = etag ? Math.min(EVERY_MS, (EVERY_MS / 60) * 2 ** atOnce) : 0;
        etag = tag;
      } else if (status === 304) {
        // Servers that do not wait are asked seldom.
        atOnce = 0;
        rest = hasWaited() ? EVERY_MS / 60 : EVERY_MS;
      } else if (status === 404) {
        dropShipment(shipment);
        say(t("gone"));
        // It may come back.
        return followList(again, asking);
      } else if (status === 429 || status === 503) {
        throw Number(answer.headers.get("Retry-After"));
      } else {
        return;
      }
      failures = 0;
    } catch (seconds) {
      const most = RETRY_MS * 2 ** failures++;
      rest = Math.max(Math.min(most, RETRY_MAX_MS), 1000 * seconds || 0);
    }
  }
}

/** Looks a list up again when other data is served. */
async function followList(again, asking) {
  let version = null;
  for (let rest = 0; await patience(rest, asking.signal); rest = EVERY_MS) {
    const dataset = await askDataset(asking).catch(() => null);
    if (!dataset || dataset.version === version) continue;
    if (version && (await again().catch(() => false))) renewed(asking);
    version = dataset.version;
  }
}

function renewed(asking) {
  byId("renewed").textContent = t("updated");
  clearTimeout(renewed.timer);
  renewed.timer = setTimeout(() => (byId("renewed").textContent = ""), SAID_MS);
  askDataset(asking).then(showAge, () => {});
}
