
// The tracking page. Its address is its state: `/?n=…&n=…&carrier=…`, each `n` a line of the field.

/** Numbers that are looked up at once, and lookups that one request takes, with a key. */
const NUMBERS_MAX = 1000;
const LOOKUPS_MAX = 1000;
/** Seconds that a list waits for its next lookups. */
const WAIT_MAX_S = 20;
/** Runs of words of one text that are tried, at most. */
const RUNS_MAX = 20000;
/** No carrier has longer numbers: words are put together up to this length. */
const JOINED_MAX = 40;
/** Longer addresses would not get through: their state goes behind `#`, which is never sent. */
const ADDRESS_MAX = 4000;

const form = byId("form");
const field = byId("n");
const carriers = byId("carrier");

/*
 * How a text is read. Commas, semicolons and lines separate numbers; a blank may separate two or stand within one, as
 * may dashes. So every run of neighbouring words is a reading, as typed and without blanks and dashes, and the server
 * is asked for all of them at once. What it knows decides:
 *
 * 1. A line that is a number as typed is that number, whatever stands in it.
 * 2. Else its words are grouped so that the fewest are left over; then so that the fewest blanks and dashes have to be
 *    dropped, since as typed comes first; then into the fewest numbers.
 * 3. Words left over side by side are one unknown number (`00340 4341-6109 4938`), unless each looks like a whole one.
 */
const linesOf = (text) => text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => bare(line.replace(/[,;]/g, "")));

/** The pieces of a line, each a list of words that know where they stand. */
function piecesOf(line) {
  const pieces = line.split(/[,;]/).map((text) => ({ text, words: [...text.matchAll(/\S+/g)] }));
  return pieces.filter((piece) => piece.words.length);
}

const between = (piece, start, end) => piece.text.slice(piece.words[start].index, piece.words[end - 1].index + piece.words[end - 1][0].length);

/** The runs of words that end before `end`, shortest first, with their readings. */
function* runsBefore(piece, end) {
  for (let start = end - 1; start >= 0; start--) {
    const typed = between(piece, start, end);
    const joined = bare(typed);
    if (joined.length > JOINED_MAX && start < end - 1) return;
    yield { start, readings: joined && joined !== typed ? [typed, joined] : [typed] };
  }
}

/** Whether a word that nobody knows looks like a whole number rather than a group of one. */
const isWhole = (word) => word.length >= 8 || (word.length >= 4 && /\p{L}/u.test(word) && /\d/.test(word));

/** Of words in a row that may be one number or several. */
const apart = (piece, start, end) => piece.words.slice(start, end).every(([word]) => isWhole(word));

/** How many numbers a piece seems to have. */
const guessed = (piece) => (apart(piece, 0, piece.words.length) ? piece.words.length : 1);

/** All readings of the lines, each once; none if there are too many. */
function readingsOf(lines) {
  const readings = new Set(lines);
  let runs = 0;
  for (const piece of lines.flatMap(piecesOf)) {
    for (let end = 1; end <= piece.words.length; end++) {
      for (const run of runsBefore(piece, end)) {
        run.readings.forEach((reading) => readings.add(reading));
        if (++runs > RUNS_MAX) return [];
      }
    }
  }
  return [...readings];
}

/** The numbers of a line: `{typed, number, shipments}`, the shipments being none where nothing is known. */
function numbersOf(line, found) {
  if (found.has(line)) return [{ typed: line, number: line, shipments: found.get(line) }];
  return piecesOf(line).flatMap((piece) => grouped(piece, found));
}

function grouped(piece, found) {
  const LEFT_OVER = 1e11;
  const DROPPED = 1e5;
  // Of the words before each place: the best grouping, by its last number.
  const best = [{ cost: 0 }];
  for (let end = 1; end <= piece.words.length; end++) {
    best.push({ cost: best[end - 1].cost + LEFT_OVER, start: end - 1 });
    for (const { start, readings } of runsBefore(piece, end)) {
      const number = readings.find((reading) => found.has(reading));
      if (number === undefined) continue;
      const cost = best[start].cost + (readings[0].length - number.length) * DROPPED + 1;
      if (cost < best[end].cost) best[end] = { cost, start, number };
    }
  }
  const numbers = [];
  for (let end = piece.words.length; end > 0; ) {
    let { start, number } = best[end];
    if (number === undefined) {
      while (start > 0 && best[start].number === undefined) start = best[start].start;
      const unknown = apart(piece, start, end) ? piece.words.slice(start, end).map(([word]) => word) : [between(piece, start, end)];
      numbers.unshift(...unknown.map((typed) => ({ typed, number: typed, shipments: [] })));
    } else {
      numbers.unshift({ typed: between(piece, start, end), number, shipments: found.get(number) });
    }
    end = start;
  }
  return numbers;
}

/** Lookups that one request takes. */
const lookupsMax = () => (key ? LOOKUPS_MAX : Number(form.dataset.keylessLookupsMax));

function askBatch(lookups, asking) {
  return ask("/v1/lookup", { ...asking, method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ lookups }) });
}

/** The same, waiting where it is asked too fast: a long list is many requests for those without a key. */
async function askBatchInTime(lookups, asking) {
  for (;;) {
    try {
      return await askBatch(lookups, asking);
    } catch (failure) {
      if (!(failure instanceof TooMany) || failure.seconds > WAIT_MAX_S) throw failure;
      await pause(1000 * failure.seconds);
      if (asking.signal.aborted) throw new Failure("");
    }
  }
}

/** The readings that found something, with their shipments. */
async function lookUp(readings, carrier, asking) {
  const found = new Map();
  for (let at = 0; at < readings.length; ) {
    const taken = readings.slice(at, at + lookupsMax());
    const lookups = taken.map((tracking_number) => ({ tracking_number, carrier: carrier || null }));
    const { results } = await askBatchInTime(lookups, asking);
    results.forEach(({ shipments }, number) => shipments.length && found.set(taken[number], shipments));
    at += taken.length;
  }
  return found;
}

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

/** The steps of a parcel. Of each stage: its step, what it says, and its name where it is not that of the step. */
const STEPS = ["Announced", "On its way", "Out for delivery", "Delivered"];
const STAGES = {
  __proto__: null,
  pre_transit: [0, "The carrier knows of the parcel, but does not have it yet."],
  in_transit: [1, "The carrier has the parcel."],
  out_for_delivery: [2, "The parcel is on the vehicle that delivers it."],
  available_for_pickup: [2, "The parcel waits to be collected.", "Ready to collect"],
  delivered: [3, "The parcel has arrived."],
  attempt_failed: [2, "The carrier could not hand the parcel over.", "Delivery failed"],
  returning: [-1, "The parcel goes back to the sender.", "Going back"],
  exception: [-1, "Something holds the parcel up; the carrier knows more.", "Held up"],
  cancelled: [-1, "The shipment was called off.", "Cancelled"],
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
  const [now, meaning, name] = STAGES[stage] || [];
  if (!meaning) return "";
  const step = (text, at) => {
    if (at !== now) return element("li", { class: at < now ? "past" : "" }, text);
    const isOdd = name && stage !== "available_for_pickup";
    return element("li", { class: isOdd ? "odd" : at === 3 ? "past" : "", "aria-current": "step" }, name || text);
  };
  const steps = now < 0 ? [element("li", { class: "odd", "aria-current": "step" }, name)] : STEPS.map(step);
  return element("div", { class: "steps" }, element("ol", {}, ...steps), element("p", {}, meaning));
}

function card(shipment, typed) {
  const { tracking_number, carrier, status, sender_address, receiver_address, articles } = shipment;
  const title = element("div", {}, datum(tracking_number, "", "h3", { class: "number" }), datum(carrier, "", "p"));
  if (fold(typed) !== fold(tracking_number)) title.append(element("p", { class: "quiet hint" }, "typed as ", datum(typed, "")));
  const pill = element("p", { class: "status" }, datum(status, "no status"));
  const head = [element("div", { class: "title" }, title, pill), stepsOf(shipment.stage || usualStage(status))];
  if (shipment.limited) return limitedCard(shipment, typed, head);
  const route = element("dl", { class: "route" }, place("From", sender_address), place("To", receiver_address));
  return element("article", { class: "card" }, ...head, route, table(articles, tracking_number));
}

/** What everybody may see; the postcode of the receiver shows the rest. It is kept nowhere, in no address either. */
let limitedCards = 0;
function limitedCard({ tracking_number, carrier, sender_country, receiver_country }, typed, head) {
  const country = (label, name) => element("div", {}, element("dt", {}, label), element("dd", {}, datum(name || "", "not known")));
  const route = element("dl", { class: "route" }, country("From", sender_country), country("To", receiver_country));
  const made = element("article", { class: "card" }, ...head, route);
  if (receiver_country === null) {
    made.append(element("p", { class: "more quiet" }, "Addresses and articles are not shown here: no postcode is known for this shipment."));
    return made;
  }
  const id = `postcode-${++limitedCards}`;
  const said = element("p", { role: "status", id: `${id}-said` });
  const postcode = element("input", { id, autocomplete: "postal-code", spellcheck: "false", required: "", "aria-describedby": said.id });
  const label = element("label", { for: id }, "Postcode of the receiver");
  const why = element("p", { class: "quiet hint" }, "It shows addresses and articles.");
  const more = element("form", { class: "more" }, label, why, postcode, element("button", { class: "button" }, "Show all"), said);
  more.addEventListener("submit", async (event) => {
    event.preventDefault();
    // A wrong one that is sent twice counts twice.
    if (more.ariaBusy === "true") return;
    more.ariaBusy = "true";
    said.textContent = "Looking …";
    const asking = { signal: view.signal, onLoading: () => (said.textContent = "The server is loading its data …") };
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
      said.textContent = shipment ? "This is not the postcode of the receiver." : "This shipment is no longer listed.";
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
    const article = element("th", { scope: "row" }, datum(name, "no name"));
    if (SKU.trim()) article.append(" ", datum(SKU, "", "small"));
    const decimals = decimalsOf(price);
    const cells = [quantity, price, digits(times(quantity, price, decimals), decimals)];
    return element("tr", {}, article, ...cells.map((text) => element("td", {}, text)));
  };
  const total = element("tr", {}, element("th", { scope: "row" }, "Total"), element("td", { colspan: 3 }, totalOf(articles)));
  return element(
    "table",
    {},
    element("caption", { class: "off-screen" }, `Articles of ${tracking_number}`),
    element("thead", {}, element("tr", {}, ...["Article", "Qty", "Price", "Amount"].map(header))),
    element("tbody", {}, ...articles.map(row)),
    element("tfoot", {}, total),
  );
}

function entry({ typed, number, shipments }, carrier) {
  if (!shipments.length) {
    const none = `No shipment has this number${carrier ? ` with carrier ${carrier}` : ""}.`;
    const title = element("div", { class: "title" }, datum(number, "", "h3", { class: "number" }), element("p", { class: "quiet" }, none));
    return element("article", { class: "card missing" }, title);
  }
  const cards = shipments.map((shipment) => card(shipment, typed));
  if (cards.length === 1) return cards[0];
  const note = element("p", {}, `${cards.length} carriers use the number `, datum(number, "", "b", { class: "number" }), ":");
  return element("section", { class: "several" }, note, ...cards);
}

function summaryOf(numbers) {
  const known = numbers.filter(({ shipments }) => shipments.length);
  if (!known.length) return "No shipment found";
  if (numbers.length > 1) return `${known.length} of ${numbers.length} numbers found`;
  return `${counted(known[0].shipments.length, "shipment")} found`;
}

/** A number that was typed in two ways is shown once. */
function once(numbers) {
  const seen = new Set();
  return numbers.filter(({ number }) => !seen.has(fold(number)) && seen.add(fold(number)));
}

function addressOf({ lines, carrier }) {
  const parameters = new URLSearchParams(lines.map((line) => ["n", line]));
  if (carrier) parameters.set("carrier", carrier);
  const text = String(parameters);
  return `/${text && (text.length > ADDRESS_MAX ? "#" : "?")}${text}`;
}

function stateOfAddress() {
  const parameters = new URLSearchParams(location.search || location.hash.slice(1));
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
    document.title = "Track a parcel · Waybill";
    return;
  }
  const guess = state.lines.flatMap(piecesOf).reduce((sum, piece) => sum + guessed(piece), 0);
  const readings = readingsOf(state.lines);
  if (guess > NUMBERS_MAX || !readings.length) {
    const much = guess > NUMBERS_MAX ? `These are ${counted(guess, "number")}.` : "This is a long text.";
    results.hidden = true;
    say("");
    alarm(`${much} Up to 1,000 can be looked up at once: take some out.`);
    return;
  }
  say(`Looking up ${counted(guess, "number")}…`);
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
  document.title = `${numbers.length === 1 ? numbers[0].number : summary} · Waybill`;
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
    alarm("Type or paste a tracking number first.");
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
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 2000);
  });
}

addEventListener("popstate", showAddress);
showAddress();
