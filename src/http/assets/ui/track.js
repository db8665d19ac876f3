
// The tracking page. Its address is its state: `/?n=…&n=…&carrier=…`, each `n` a line of the field.

/** Longer addresses would not get through: their state goes behind `#`, which is never sent. */
const ADDRESS_MAX = 4000;

const form = byId("form");
const field = byId("n");
const carriers = byId("carrier");
const TITLE = document.title;
const entitle = (text) => (document.title = text + TITLE.slice(TITLE.lastIndexOf(" · ")));

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
  if (now === undefined) return "";
  const name = `name.${stage}` in TEXTS && t(`name.${stage}`);
  const step = (at) => {
    if (at !== now) return element("li", { class: at < now ? "past" : "" }, t(`step.${at}`));
    const isOdd = name && stage !== "available_for_pickup";
    return element("li", { class: isOdd ? "odd" : at === 3 ? "past" : "", "aria-current": "step" }, name || t(`step.${at}`));
  };
  const steps = now < 0 ? [step(now)] : STEPS.map(step);
  return element("div", { class: "steps" }, element("ol", {}, ...steps), element("p", {}, t(`stage.${stage}`)));
}

function card(shipment, typed) {
  const { tracking_number, carrier, status, sender_address, receiver_address, articles } = shipment;
  const title = element("div", {}, datum(tracking_number, "", "h3", { class: "number" }), datum(carrier, "", "p"));
  if (fold(typed) !== fold(tracking_number)) title.append(element("p", { class: "quiet hint" }, ...pieces("typed_as", { text: datum(typed, "") })));
  const pill = element("p", { class: "status" }, datum(status, t("no_status")));
  const head = [element("div", { class: "title" }, title, pill), stepsOf(shipment.stage || usualStage(status))];
  if (shipment.limited) return limitedCard(shipment, typed, head);
  const route = element("dl", { class: "route" }, place(t("from"), sender_address), place(t("to"), receiver_address));
  return element("article", { class: "card" }, ...head, route, table(articles, tracking_number));
}

/** What everybody may see; the postcode of the receiver shows the rest. It is kept nowhere, in no address either. */
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
        const whole = card(shipment, typed);
        made.replaceWith(whole);
        const title = whole.querySelector("h3");
        title.tabIndex = -1;
        title.focus();
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
  const header = (text) => element("th", { scope: "col" }, text);
  const row = ({ name, SKU, quantity, price }) => {
    const article = element("th", { scope: "row" }, datum(name, t("no_name")));
    if (SKU.trim()) article.append(" ", datum(SKU, "", "small"));
    const decimals = decimalsOf(price);
    const cells = [quantity, price, digits(times(quantity, price, decimals), decimals)];
    return element("tr", {}, article, ...cells.map((text) => element("td", {}, text)));
  };
  const total = element("tr", {}, element("th", { scope: "row" }, t("total")), element("td", { colspan: 3 }, totalOf(articles)));
  return element(
    "table",
    {},
    element("caption", { class: "off-screen" }, t("articles_of", { number: tracking_number })),
    element("thead", {}, element("tr", {}, ...[t("article"), t("quantity"), t("price"), t("amount")].map(header))),
    element("tbody", {}, ...articles.map(row)),
    element("tfoot", {}, total),
  );
}

function entry({ typed, number, shipments }, carrier) {
  if (!shipments.length) {
    const none = carrier ? t("unknown_with", { carrier }) : t("unknown");
    const title = element("div", { class: "title" }, datum(number, "", "h3", { class: "number" }), element("p", { class: "quiet" }, none));
    return element("article", { class: "card missing" }, title);
  }
  const cards = shipments.map((shipment) => card(shipment, typed));
  if (cards.length === 1) return cards[0];
  const note = element("p", {}, ...pieces("shared", { n: cards.length, number: datum(number, "", "b", { class: "number" }) }));
  return element("section", { class: "several" }, note, ...cards);
}

function summaryOf(numbers) {
  const known = numbers.filter(({ shipments }) => shipments.length);
  if (!known.length) return t("found_none");
  if (numbers.length > 1) return t("found_some", { found: known.length, n: numbers.length });
  return t("found", { n: known[0].shipments.length });
}

function addressOf({ lines, carrier }) {
  const parameters = new URLSearchParams(lines.map((line) => ["n", line]));
  if (carrier) parameters.set("carrier", carrier);
  const text = String(parameters);
  const isLong = text.length > ADDRESS_MAX;
  const query = String(inLanguage(isLong ? new URLSearchParams() : parameters));
  return `/${query && `?${query}`}${isLong ? `#${text}` : ""}`;
}

function stateOfAddress() {
  const parameters = new URLSearchParams(location.hash.startsWith("#n=") ? location.hash.slice(1) : location.search);
  return { lines: parameters.getAll("n").flatMap(linesOf), carrier: parameters.get("carrier") || "" };
}

/** Chooses a carrier, which is offered from then on: the list may come later, or not know it. */
function choose(carrier) {
  const options = [...carriers.options];
  let option = options.find(({ value }) => fold(value) === fold(carrier));
  if (!option) carriers.append((option = element("option", { value: carrier }, carrier)));
  option.selected = true;
}

function offer(names) {
  const chosen = carriers.value;
  carriers.replaceChildren(carriers.options[0], ...names.map((name) => element("option", { value: name }, name)));
  choose(chosen);
}

/** Shows `{lines, carrier}`; `byHand` when somebody just asked for it. */
async function show(state, byHand, asking) {
  const results = byId("results");
  askDataset(asking).then((dataset) => {
    offer(dataset.carriers);
    showAge(dataset);
  }, () => {});
  if (!state.lines.length) {
    results.hidden = true;
    say("");
    document.title = TITLE;
    return;
  }
  const guess = state.lines.flatMap(piecesOf).reduce((sum, piece) => sum + guessed(piece), 0);
  const readings = readingsOf(state.lines);
  if (guess > NUMBERS_MAX || !readings.length) {
    results.hidden = true;
    say("");
    alarm(guess > NUMBERS_MAX ? t("too_many", { n: guess, most: NUMBERS_MAX }) : t("too_long", { most: NUMBERS_MAX }));
    return;
  }
  say(t("looking_up", { n: guess }));
  const found = await lookUp(readings, state.carrier, asking);
  const numbers = once(state.lines.flatMap((line) => numbersOf(line, found)));
  const summary = summaryOf(numbers);
  byId("summary").textContent = summary;
  byId("link").href = addressOf(state);
  byId("none").hidden = found.size > 0;
  byId("any").hidden = !state.carrier;
  byId("any").firstElementChild.href = addressOf({ lines: state.lines });
  byId("list").replaceChildren(...numbers.map((number) => entry(number, state.carrier)));
  results.hidden = false;
  entitle(numbers.length === 1 ? numbers[0].number : summary);
  // Who asked is taken to the answer, and it is read out by that.
  say(byHand ? "" : summary, true);
  if (byHand) byId("summary").focus();
}

function showAddress() {
  const state = stateOfAddress();
  field.value = state.lines.join("\n");
  choose(state.carrier);
  run((asking) => show(state, false, asking));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const state = { lines: linesOf(field.value), carrier: carriers.value };
  if (!state.lines.length) {
    alarm(t("nothing_typed"));
    field.focus();
    return;
  }
  const address = addressOf(state);
  if (address !== location.pathname + location.search + location.hash) history.pushState(null, "", address);
  run((asking) => show(state, true, asking));
});

field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

if (navigator.clipboard) {
  const copy = byId("copy");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId("link").href);
    copy.textContent = t("copied");
    setTimeout(() => (copy.textContent = t("copy")), 2000);
  });
}

addEventListener("popstate", showAddress);
showAddress();
