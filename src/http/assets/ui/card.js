
// The card of a shipment on the tracking page.

/** What the brand says about the page: links to carriers by their folded names, and what is shown of articles. */
const SETTINGS = JSON.parse(byId("settings").textContent);

/** Decimals are added as whole numbers of their smallest unit: exact at any length. */
const decimalsOf = (price) => (price.split(".")[1] || "").length;
function times(quantity, price, decimals) {
  return BigInt(quantity) * BigInt(price.replace(".", "")) * 10n ** BigInt(decimals - decimalsOf(price));
}
function digits(units, decimals) {
  const text = String(units).padStart(decimals + 1, "0");
  return decimals ? `${text.slice(0, -decimals)}.${text.slice(-decimals)}` : text;
}
function totalOf(articles) {
  const decimals = articles.reduce((most, { price }) => Math.max(most, decimalsOf(price)), 0);
  return digits(articles.reduce((sum, { quantity, price }) => sum + times(quantity, price, decimals), 0n), decimals);
}

/** Older browsers would round a number of many digits. */
const isExact = new Intl.NumberFormat("en").format("9007199254740993").endsWith("993");

/** A decimal number as the reader writes it, with all its digits. */
function decimal(text) {
  if (!isExact) return text;
  const { currency } = SETTINGS;
  const minimumFractionDigits = decimalsOf(text);
  return new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits, maximumFractionDigits: minimumFractionDigits, ...(currency && { style: "currency", currency }) }).format(text);
}

/** Stages, and the step of each, if it is on one. */
const STAGES = "pre_transit,in_transit,out_for_delivery,available_for_pickup,delivered,attempt_failed,returning,exception,cancelled".split(",");
const STEP_OF = [0, 1, 2, 2, 3, 2, -1, -1, -1];
const STEPS = [0, 1, 2, 3];

/** Where a parcel is on its way; nothing where that is not known. */
function stepsOf(stage) {
  const now = STEP_OF[STAGES.indexOf(stage)];
  if (now === undefined) return element("div");
  const name = `name.${stage}` in TEXTS && t(`name.${stage}`);
  const step = (at) => {
    if (at !== now) return element(at < now ? "li.past" : "li", t(`step.${at}`));
    const isOdd = name && stage !== "available_for_pickup";
    return element(isOdd ? "li.odd" : at === 3 ? "li.past" : "li", { "aria-current": "step" }, name || t(`step.${at}`));
  };
  const steps = now < 0 ? [step(now)] : STEPS.map(step);
  return element("div.steps", element("ol", ...steps), element("p", t(`stage.${stage}`)));
}

/** The carrier, and a link to its own page about the parcel. */
function carrierOf(carrier, tracking_number) {
  const name = datum(carrier, "", "p");
  const link = Object.hasOwn(SETTINGS.links, fold(carrier)) && SETTINGS.links[fold(carrier)];
  if (!link) return [name];
  const href = link.replaceAll("{tracking_number}", encodeURIComponent(tracking_number));
  return [name, element("a.no-print", { href, rel: "noreferrer" }, t("at_carrier", { carrier }))];
}

function card(shipment, typed) {
  const { tracking_number, carrier, status, sender_address, receiver_address, articles } = shipment;
  const title = element("div", datum(tracking_number, "", "h3.number", { tabindex: -1 }), ...carrierOf(carrier, tracking_number));
  // An address that was pasted says nothing more.
  if (fold(typed) !== fold(tracking_number) && !typed.includes("://")) title.append(element("p.quiet.hint", ...pieces("typed_as", { text: datum(typed, "") })));
  const pill = element("p.status", datum(status, t("no_status")));
  const head = [element("div.title", title, pill), stepsOf(shipment.stage || usualStage?.(status))];
  if (shipment.limited) return limitedCard(shipment, head);
  const route = element("dl.route", place(t("from"), sender_address), place(t("to"), receiver_address));
  return element("article.card", ...head, route, table(articles, tracking_number));
}

/** Postcodes that show the rest of limited shipments. They are kept as long as they are shown, and in no address. */
const postcodes = new Map();

const place = (label, address) => element("div", element("dt", label), element("dd", ...linesOfAddress(address)));

function table(articles, tracking_number) {
  const withPrices = SETTINGS.prices !== false;
  const header = (text) => element("th", { scope: "col" }, text);
  const row = ({ name, SKU, quantity, price }) => {
    const article = element("th", { scope: "row" }, datum(name, t("no_name")));
    if (SETTINGS.sku !== false && SKU.trim()) article.append(" ", datum(SKU, "", "small"));
    const decimals = decimalsOf(price);
    const prices = withPrices ? [price, digits(times(quantity, price, decimals), decimals)].map(decimal) : [];
    return element("tr", article, ...[numeral(Number(quantity)), ...prices].map((text) => element("td", text)));
  };
  const heads = [t("article"), t("quantity"), ...(withPrices ? [t("price"), t("amount")] : [])];
  const total = withPrices ? [element("tfoot", element("tr", element("th", { scope: "row" }, t("total")), element("td", { colspan: 3 }, decimal(totalOf(articles)))))] : [];
  return element(
    withPrices ? "table" : "table.short",
    element("caption.off-screen", t("articles_of", { number: tracking_number })),
    element("thead", element("tr", ...heads.map(header))),
    element("tbody", ...articles.map(row)),
    ...total,
  );
}
