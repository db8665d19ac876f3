
// The tracking page. Its address is its state: `/?n=…&n=…&carrier=…`, each `n` a line of the field.

/** Longer addresses would not get through: their state goes behind `#`, which is never sent. */
const ADDRESS_MAX = 4000;

/**
 * What only some answers need is a script of its own, which comes while the first answer does: later.js, made with this
 * one by minify.js, which writes its hash. The policy of the page allows for no other.
 */
const LATER = "/later.js";
const trusted = globalThis.trustedTypes?.createPolicy("waybill", { createScriptURL: () => LATER });
let loadingLater = null;
const later = () =>
  (loadingLater ??= new Promise((resolve, reject) => {
    const script = element("script", { integrity: LATER_INTEGRITY });
    script.src = trusted ? trusted.createScriptURL("") : LATER;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  }).catch(() => {
    loadingLater = null;
    throw new Failure(t("unreachable"));
  }));

const form = byId("form");
const field = byId("n");
const carriers = byId("carrier");
const another = byId("another");
const TITLE = document.title;
const entitle = (text) => (document.title = text + TITLE.slice(TITLE.lastIndexOf(" · ")));

/** Shipments that are followed one by one, by requests that wait for a change; more are looked up again. */
const FOLLOWED_MAX = 3;
/** Longer lists have a line for each shipment, which opens to its card. */
const CARDS_MAX = 20;

/** What is shown now: `{typed, number, shipments}` of each number, and how they were asked for. */
let numbers = [];
let state = null;
const opened = new Set();

function entry({ typed, number, shipments }, isLong) {
  if (!shipments.length) {
    const none = state.carrier ? t("unknown_with", { carrier: state.carrier }) : t("unknown");
    const title = element("div.title", datum(number, "", "h3.number"), element("p.quiet", none));
    return [element("article.card.missing", title)];
  }
  if (isLong) return shipments.map((shipment) => line(shipment, typed));
  const cards = shipments.map((shipment) => card(shipment, typed));
  if (cards.length === 1) return cards;
  const note = element("p", ...pieces("shared", { n: cards.length, number: datum(number, "", "b.number") }));
  return [element("section.several", note, ...cards)];
}

/** Shows the numbers; what is the same stays as it is. */
function draw() {
  const isLong = numbers.length > CARDS_MAX;
  byId("summary").textContent = summaryOf(numbers);
  byId("counts").replaceChildren(...(isLong ? countsOf(numbers) : []));
  byId("counts").hidden = !isLong;
  byId("none").hidden = numbers.some(({ shipments }) => shipments.length);
  if (isLong) offerTable(state.lines);
  else byId("table")?.setAttribute("hidden", "");
  const fresh = element("div", { id: "list" });
  fresh.append(...numbers.flatMap((number) => entry(number, isLong)));
  // Before anything can be renewed all of it is new.
  if (renew) renew(byId("list"), fresh);
  else byId("list").replaceWith(fresh);
}

/** Whether two are the same shipment, however it is spelled. */
const isSame = (one, other) => fold(one.tracking_number) === fold(other.tracking_number) && fold(one.carrier) === fold(other.carrier);

/** Shows a shipment in place of what is shown of it. False if that is the same. */
function replaceShipment(fresh) {
  let isNew = false;
  for (const { shipments } of numbers) {
    shipments.forEach((shipment, at) => {
      if (!isSame(shipment, fresh)) return;
      isNew ||= JSON.stringify(shipment) !== JSON.stringify(fresh);
      shipments[at] = fresh;
    });
  }
  if (isNew) draw();
  return isNew;
}

/** Shows a shipment no more. */
function dropShipment(gone) {
  for (const number of numbers) number.shipments = number.shipments.filter((shipment) => !isSame(shipment, gone));
  draw();
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
  const fresh = once(state.lines.flatMap((line) => numbersOf(line, found)));
  const any = (is) => fresh.some(({ shipments }) => shipments.some(is));
  if (fresh.length > CARDS_MAX || any(({ limited }) => limited)) await later();
  // Without it there is no look at the way of the parcel, but all else.
  if (any(({ stage }) => !stage)) await later().catch(() => {});
  if (asking.signal.aborted) throw new Failure("");
  numbers = fresh;
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
  const loading = later();
  loading.catch(() => {});
  await find(readings, asking);
  const summary = summaryOf(numbers);
  byId("link").href = addressOf(state);
  byId("any").hidden = !state.carrier;
  byId("any").firstElementChild.href = addressOf({ lines: state.lines });
  results.hidden = false;
  entitle(numbers.length === 1 ? numbers[0].number : summary);
  // Who asked is taken to the answer, and it is read out by that.
  say(byHand ? "" : summary, true);
  if (byHand) {
    results.scrollIntoView({ block: "nearest" });
    byId("summary").focus({ preventScroll: true });
  }
  const shipments = numbers.flatMap((number) => number.shipments);
  const again = () => find(readings, asking).then(() => true);
  const followAll = () => {
    if (shipments.length > FOLLOWED_MAX) followList(again, asking);
    else shipments.forEach((shipment) => follow(shipment, asking, again));
  };
  loading.then(followAll, () => {});
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

another.ontoggle = () => {
  if (!another.className || !another.open) return;
  field.select();
  another.scrollIntoView({ block: "nearest" });
};

form.onsubmit = (event) => {
  event.preventDefault();
  const state = { lines: linesOf(field.value), carrier: carriers.value };
  if (!state.lines.length) {
    alarm(t("nothing_typed"));
    field.focus({ preventScroll: true });
    return;
  }
  const address = addressOf(state);
  if (address !== location.pathname + location.search + location.hash) history.pushState(null, "", address);
  run((asking) => show(state, true, asking));
};

field.onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
};

onpopstate = showAddress;
showAddress();
