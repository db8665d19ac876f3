
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

/** The steps of a parcel, and the step of each stage, if it is on one. */
const STEPS = [0, 1, 2, 3];
const STAGES = {
  __proto__: null,
  pre_transit: 0,
  in_transit: 1,
  out_for_delivery: 2,
  available_for_pickup: 2,
  delivered: 3,
  attempt_failed: 2,
  returning: -1,
  exception: -1,
  cancelled: -1,
};

/** Stages of the most usual statuses, for the look of this page alone where the server has no map of them. */
const USUAL = {
  pre_transit: "announced,pre transit,label created,information received,angekündigt,aangemeld,annoncé",
  in_transit: "in transit,transit,scanned,inbound scan,shipped,picked up,on the way,customs,unterwegs,onderweg,en tránsito,in transito",
  out_for_delivery: "out for delivery,on vehicle,delivery,in zustellung,en cours de livraison,en reparto,in consegna",
  available_for_pickup: "available for pickup,ready for pickup,ready for collection,abholbereit",
  delivered: "delivered,zugestellt,livré,entregado,consegnato,bezorgd",
  attempt_failed: "delivery attempt,attempt failed,delivery failed,not delivered",
  returning: "return,returned,return to sender,retour,devuelto",
  exception: "exception,damaged,lost",
  cancelled: "cancelled,canceled",
};
const usualStage = (status) => Object.keys(USUAL).find((stage) => USUAL[stage].split(",").includes(fold(status).replace(/[-_]/g, " ")));

/** Where a parcel is on its way; nothing where that is not known. */
function stepsOf(stage) {
  const now = STAGES[stage];
  if (now === undefined) return element("div");
  const name = `name.${stage}` in TEXTS && t(`name.${stage}`);
  const step = (at) => {
    if (at !== now) return element("li", { class: at < now ? "past" : "" }, t(`step.${at}`));
    const isOdd = name && stage !== "available_for_pickup";
    return element("li", { class: isOdd ? "odd" : at === 3 ? "past" : "", "aria-current": "step" }, name || t(`step.${at}`));
  };
  const steps = now < 0 ? [step(now)] : STEPS.map(step);
  return element("div", { class: "steps" }, element("ol", {}, ...steps), element("p", {}, t(`stage.${stage}`)));
}

/** The carrier, and a link to its own page about the parcel. */
function carrierOf(carrier, tracking_number) {
  const name = datum(carrier, "", "p");
  const link = Object.hasOwn(SETTINGS.links, fold(carrier)) && SETTINGS.links[fold(carrier)];
  if (!link) return [name];
  const href = link.replaceAll("{tracking_number}", encodeURIComponent(tracking_number));
  return [name, element("a", { href, rel: "noreferrer", class: "no-print" }, t("at_carrier", { carrier }))];
}

function card(shipment, typed) {
  const { tracking_number, carrier, status, sender_address, receiver_address, articles } = shipment;
  const title = element("div", {}, datum(tracking_number, "", "h3", { class: "number", tabindex: -1 }), ...carrierOf(carrier, tracking_number));
  if (fold(typed) !== fold(tracking_number)) title.append(element("p", { class: "quiet hint" }, ...pieces("typed_as", { text: datum(typed, "") })));
  const pill = element("p", { class: "status" }, datum(status, t("no_status")));
  const head = [element("div", { class: "title" }, title, pill), stepsOf(shipment.stage || usualStage(status))];
  if (shipment.limited) return limitedCard(shipment, typed, head);
  const route = element("dl", { class: "route" }, place(t("from"), sender_address), place(t("to"), receiver_address));
  return element("article", { class: "card" }, ...head, route, table(articles, tracking_number));
}

/** What everybody may see; the postcode of the receiver shows the rest. It is kept as long as it is shown, and in no address. */
const postcodes = new Map();
let limitedCards = 0;
function limitedCard({ tracking_number, carrier, sender_country, receiver_country }, typed, head) {
  const country = (label, name) => element("div", {}, element("dt", {}, label), element("dd", {}, datum(name || "", t("not_known"))));
  const route = element("dl", { class: "route" }, country(t("from"), sender_country), country(t("to"), receiver_country));
  const made = element("article", { class: "card" }, ...head, route);
  if (receiver_country === null) {
    made.append(element("p", { class: "more quiet" }, t("no_postcode")));
    return made;
  }
  const id = `postcode-${++limitedCards}`;
  const said = element("p", { role: "status", id: `${id}-said` });
  const postcode = element("input", { id, autocomplete: "postal-code", spellcheck: "false", required: "", "aria-describedby": said.id });
  const label = element("label", { for: id }, t("postcode"));
  const why = element("p", { class: "quiet hint" }, t("postcode_why"));
  const more = element("form", { class: "more" }, label, why, postcode, element("button", { class: "button" }, t("show_all")), said);
  more.addEventListener("submit", async (event) => {
    event.preventDefault();
    // A wrong one that is sent twice counts twice.
    if (more.ariaBusy === "true") return;
    more.ariaBusy = "true";
    said.textContent = t("looking");
    const asking = { signal: view.signal, onLoading: () => (said.textContent = t("loading")) };
    try {
      const { results } = await askBatch([{ tracking_number, carrier, postcode: postcode.value.trim() || null }], asking);
      const [shipment] = results[0].shipments;
      if (shipment && !shipment.limited) {
        postcodes.set(fold(tracking_number), postcode.value.trim());
        const at = [...document.querySelectorAll(".card")].indexOf(made);
        replaceShipment(shipment);
        document.querySelectorAll(".card")[at].querySelector("h3").focus();
        return;
      }
      said.textContent = shipment ? t("wrong_postcode") : t("gone");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      said.textContent = failure.message;
    } finally {
      more.ariaBusy = "false";
    }
    postcode.focus();
  });
  made.append(more);
  return made;
}

const place = (label, address) => element("div", {}, element("dt", {}, label), element("dd", {}, ...linesOfAddress(address)));

function table(articles, tracking_number) {
  const withPrices = SETTINGS.prices !== false;
  const header = (text) => element("th", { scope: "col" }, text);
  const row = ({ name, SKU, quantity, price }) => {
    const article = element("th", { scope: "row" }, datum(name, t("no_name")));
    if (SETTINGS.sku !== false && SKU.trim()) article.append(" ", datum(SKU, "", "small"));
    const decimals = decimalsOf(price);
    const prices = withPrices ? [price, digits(times(quantity, price, decimals), decimals)].map(decimal) : [];
    return element("tr", {}, article, ...[numeral(Number(quantity)), ...prices].map((text) => element("td", {}, text)));
  };
  const heads = [t("article"), t("quantity"), ...(withPrices ? [t("price"), t("amount")] : [])];
  const total = withPrices ? [element("tfoot", {}, element("tr", {}, element("th", { scope: "row" }, t("total")), element("td", { colspan: 3 }, decimal(totalOf(articles)))))] : [];
  return element(
    "table",
    withPrices ? {} : { class: "short" },
    element("caption", { class: "off-screen" }, t("articles_of", { number: tracking_number })),
    element("thead", {}, element("tr", {}, ...heads.map(header))),
    element("tbody", {}, ...articles.map(row)),
    ...total,
  );
}
