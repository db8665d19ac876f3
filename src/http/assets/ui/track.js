
// The tracking page. Its address is its state: `/?n=…&n=…&carrier=…`, each `n` a line of the field.

/** Longer addresses would not get through: their state goes behind `#`, which is never sent. */
const ADDRESS_MAX = 4000;

const form = byId("form");
const field = byId("n");
const carriers = byId("carrier");
const another = byId("another");
const TITLE = document.title;
const entitle = (text) => (document.title = text + TITLE.slice(TITLE.lastIndexOf(" · ")));

/** Longer lists have a line for each shipment, which opens to its card. */
const CARDS_MAX = 20;

/** What is shown now: `{typed, number, shipments}` of each number, and how they were asked for. */
let numbers = [];
let state = null;
const opened = new Set();

function entry({ typed, number, shipments }, isLong) {
  if (!shipments.length) {
    const none = state.carrier ? t("unknown_with", { carrier: state.carrier }) : t("unknown");
    const title = element("div", { class: "title" }, datum(number, "", "h3", { class: "number" }), element("p", { class: "quiet" }, none));
    return [element("article", { class: "card missing" }, title)];
  }
  if (isLong) return shipments.map((shipment) => line(shipment, typed));
  const cards = shipments.map((shipment) => card(shipment, typed));
  if (cards.length === 1) return cards;
  const note = element("p", {}, ...pieces("shared", { n: cards.length, number: datum(number, "", "b", { class: "number" }) }));
  return [element("section", { class: "several" }, note, ...cards)];
}

/** One line for a shipment; its card is made when it is opened. */
function line(shipment, typed) {
  const { tracking_number, carrier, status } = shipment;
  const id = `${fold(carrier)} ${fold(tracking_number)}`;
  const pill = element("span", { class: "status" }, datum(status, t("no_status")));
  const summary = element("summary", {}, datum(tracking_number, "", "b", { class: "number" }), datum(carrier, ""), pill);
  const made = element("details", { class: "card line" }, summary);
  if (opened.has(id)) made.append(card(shipment, typed));
  made.open = opened.has(id);
  made.addEventListener("toggle", () => {
    if (!made.open) return opened.delete(id);
    opened.add(id);
    if (made.children.length === 1) made.append(card(shipment, typed));
  });
  return made;
}

/** How many shipments of a long list have which status. */
function countsOf() {
  const counts = new Map();
  const add = (status, count) => count && counts.set(status, (counts.get(status) || 0) + count);
  numbers.forEach(({ shipments }) => shipments.forEach(({ status }) => add(status.trim(), 1)));
  const item = ([status, count]) => element("li", {}, element("b", {}, numeral(count)), " ", datum(status, t("no_status")));
  const items = [...counts].sort((one, other) => other[1] - one[1]).map(item);
  const missing = numbers.filter(({ shipments }) => !shipments.length).length;
  if (missing) items.push(element("li", { class: "none" }, element("b", {}, numeral(missing)), ` ${t("missing")}`));
  return items;
}

/** Shows the numbers; what is the same stays as it is. */
function draw() {
  const isLong = numbers.length > CARDS_MAX;
  byId("summary").textContent = summaryOf(numbers);
  byId("counts").replaceChildren(...(isLong ? countsOf() : []));
  byId("counts").hidden = !isLong;
  byId("none").hidden = numbers.some(({ shipments }) => shipments.length);
  if (byId("table")) byId("table").hidden = !isLong;
  const fresh = element("div", { id: "list" });
  fresh.append(...numbers.flatMap((number) => entry(number, isLong)));
  renew(byId("list"), fresh);
}

/** Shows a shipment in place of what is shown of it. False if that is the same. */
function replaceShipment(fresh) {
  let isNew = false;
  for (const { shipments } of numbers) {
    shipments.forEach((shipment, at) => {
      if (shipment.tracking_number !== fresh.tracking_number || shipment.carrier !== fresh.carrier) return;
      isNew ||= JSON.stringify(shipment) !== JSON.stringify(fresh);
      shipments[at] = fresh;
    });
  }
  if (isNew) draw();
  return isNew;
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

/** Looks up what the lines of the state may mean. */
async function find(readings, asking) {
  const found = await lookUp(readings, state.carrier, asking, postcodes);
  numbers = once(state.lines.flatMap((line) => numbersOf(line, found)));
  draw();
}

/** Shows `{lines, carrier}`; `byHand` when somebody just asked for it. */
async function show(asked, byHand, asking) {
  const results = byId("results");
  state = asked;
  postcodes.clear();
  opened.clear();
  byId("renewed").textContent = "";
  askDataset(asking).then((dataset) => {
    offer(dataset.carriers);
    showAge(dataset);
  }, () => {});
  if (!state.lines.length) {
    results.hidden = true;
    say("");
    document.title = TITLE;
    unfoldForm();
    return;
  }
  // The answer comes first for whoever followed a link.
  if (!byHand) foldForm();
  const guess = state.lines.flatMap(piecesOf).reduce((sum, piece) => sum + guessed(piece), 0);
  const readings = readingsOf(state.lines);
  if (guess > NUMBERS_MAX || !readings.length) {
    results.hidden = true;
    say("");
    alarm(guess > NUMBERS_MAX ? t("too_many", { n: guess, most: NUMBERS_MAX }) : t("too_long", { most: NUMBERS_MAX }));
    return;
  }
  say(t("looking_up", { n: guess }));
  await find(readings, asking);
  const summary = summaryOf(numbers);
  byId("link").href = addressOf(state);
  byId("any").hidden = !state.carrier;
  byId("any").firstElementChild.href = addressOf({ lines: state.lines });
  results.hidden = false;
  entitle(numbers.length === 1 ? numbers[0].number : summary);
  // Who asked is taken to the answer, and it is read out by that.
  say(byHand ? "" : summary, true);
  if (byHand) byId("summary").focus();
  const shipments = numbers.flatMap((number) => number.shipments);
  if (shipments.length > FOLLOWED_MAX) followList(() => find(readings, asking).then(() => true), asking);
  else shipments.forEach((shipment) => follow(shipment, asking));
}

/** Puts the form behind the answer, folded, or where it is without one. */
function foldForm() {
  another.open = false;
  another.className = "later";
  byId("results").after(another);
}
function unfoldForm() {
  another.open = true;
  another.className = "";
  byId("status").before(another);
}

function showAddress() {
  const state = stateOfAddress();
  field.value = state.lines.join("\n");
  choose(state.carrier);
  run((asking) => show(state, false, asking));
}

another.addEventListener("toggle", () => another.className && another.open && field.select());

// The desk reads the list out of this tab's memory: it may be too long for an address.
byId("table")?.addEventListener("click", () => {
  try {
    sessionStorage.setItem("waybill-list", JSON.stringify(state.lines));
  } catch {}
});

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

if (navigator.share || navigator.clipboard) {
  const copy = byId("copy");
  copy.hidden = false;
  if (navigator.share) copy.textContent = t("share");
  copy.addEventListener("click", async () => {
    const url = byId("link").href;
    // Whoever changes their mind shares nothing.
    if (navigator.share) return navigator.share({ title: document.title, url }).catch(() => {});
    await navigator.clipboard.writeText(url);
    copy.textContent = t("copied");
    setTimeout(() => (copy.textContent = t("copy")), 2000);
  });
}

addEventListener("popstate", showAddress);
showAddress();
