
// The browsing page. Its address is its state: the API's own parameters, without those at their defaults.

const FACETS = {
  carrier: "Carrier",
  status: "Status",
  stage: "Stage",
  receiver_country: "To country",
  receiver_city: "To city",
  sender_country: "From country",
  sender_city: "From city",
};
const NUMBER = "tracking_number";
/** Values of a facet that are shown at first, and that the API gives at most. */
const VALUES_SHOWN = 8;
const VALUES_MAX = 100;
const LIMIT = 25;
const LIMIT_MAX = 1000;

const form = byId("form");
const limits = byId("limit");
const filters = byId("filters");
/** Facets of which all values are shown. */
const unfolded = new Set();

/** `{filters, limit, offset}` of an address or form, what is unusable left out: filters are `[name, value]`, each once. */
function stateOf(parameters) {
  const usable = [...parameters].filter(([name, value]) => (name in FACETS || name === NUMBER) && value.trim());
  const seen = new Map(usable.map(([name, value]) => [`${name} ${fold(value)}`, [name, value]]));
  const whole = (name, least, most, otherwise) => {
    const text = parameters.get(name) || "";
    return /^\d{1,15}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : otherwise;
  };
  return { filters: [...seen.values()], limit: whole("limit", 1, LIMIT_MAX, LIMIT), offset: whole("offset", 0, Infinity, 0) };
}

const stateOfAddress = () => stateOf(new URLSearchParams(location.search));

function addressOf({ filters, limit, offset }) {
  const parameters = new URLSearchParams(filters);
  if (limit !== LIMIT) parameters.set("limit", limit);
  if (offset) parameters.set("offset", offset);
  inLanguage(parameters);
  return `/browse${String(parameters) && `?${parameters}`}`;
}

/**
 * The filters as the API takes them. A tracking number is asked for as typed and without blanks and dashes, and so is
 * each word of it: several values of one parameter mean any of them.
 */
function asked(filters) {
  const numbers = ([, value]) => [value, ...value.split(/[\s,;]+/)].flatMap((text) => [text.trim(), bare(text)]);
  const wanted = new Set(filters.filter(([name]) => name === NUMBER).flatMap(numbers));
  wanted.delete("");
  return new URLSearchParams([...filters.filter(([name]) => name !== NUMBER), ...[...wanted].map((number) => [NUMBER, number])]);
}

/**
 * Counts of all facets. The API applies every filter to every facet; to offer what else could be chosen, a facet with
 * chosen values is counted without them.
 */
async function countFacets(filters, asking) {
  const without = (left) => ask(`/v1/facets?${asked(filters.filter(([name]) => name !== left))}`, asking);
  const chosen = Object.keys(FACETS).filter((facet) => filters.some(([name]) => name === facet));
  const [all, ...others] = await Promise.all([without(null), ...chosen.map(without)]);
  chosen.forEach((facet, at) => (all.facets[facet] = others[at].facets[facet]));
  return all.facets;
}

function facetBox(facet, values, filters) {
  const chosen = filters.filter(([name]) => name === facet).map(([, value]) => value);
  const isChosen = (value) => chosen.some((one) => fold(one) === fold(value));
  const gone = chosen.filter((one) => !values.some(({ value }) => fold(value) === fold(one)));
  const all = [...values, ...gone.map((value) => ({ value, count: "0" }))];
  const box = element("fieldset", {}, element("legend", {}, FACETS[facet]));
  all.forEach(({ value, count }, at) => {
    const check = element("input", { type: "checkbox", name: facet, value });
    check.checked = isChosen(value);
    // The API has no filter for what is empty.
    check.disabled = value.trim() === "";
    const label = element("label", {}, check, datum(value, "(none)"), element("span", { class: "count" }, Number(count).toLocaleString("en")));
    label.hidden = at >= VALUES_SHOWN && !check.checked && !unfolded.has(facet);
    box.append(label);
  });
  if (all.length > VALUES_SHOWN) box.append(unfolder(facet, all.length, values.length));
  if (!all.length) box.append(element("p", { class: "quiet" }, "none"));
  return box;
}

function unfolder(facet, count, given) {
  const text = () => (unfolded.has(facet) ? "Show fewer" : given < VALUES_MAX ? `Show all ${count}` : `Show the ${count} most frequent`);
  const button = element("button", { type: "button", class: "link", "aria-expanded": unfolded.has(facet) }, text());
  button.addEventListener("click", () => {
    if (!unfolded.delete(facet)) unfolded.add(facet);
    button.textContent = text();
    button.setAttribute("aria-expanded", unfolded.has(facet));
    [...button.parentElement.querySelectorAll("label")].forEach((label, at) => {
      label.hidden = at >= VALUES_SHOWN && !label.firstChild.checked && !unfolded.has(facet);
    });
  });
  return button;
}

/** The box that had the focus keeps it, though it is another now; the focus of one that is no more goes to the answer. */
function showFacets(counts, filters) {
  const { name, value } = document.activeElement;
  byId("facets").replaceChildren(...Object.keys(FACETS).filter((facet) => counts[facet]).map((facet) => facetBox(facet, counts[facet], filters)));
  const same = [...form.elements].find((one) => one.type === "checkbox" && one.name === name && fold(one.value) === fold(value || ""));
  if (same) same.focus();
  else if (name in FACETS) byId("summary").focus();
}

function row({ tracking_number, carrier, status, sender_address, receiver_address, articles }) {
  const address = `/?${new URLSearchParams({ n: tracking_number, carrier })}`;
  const link = element("a", { href: address, dir: "auto", class: "number" }, tracking_number);
  const pill = element("span", { class: "status" }, datum(status, "no status"));
  const cell = (label, ...content) => element("td", { role: "cell", "data-label": label }, ...content);
  return element(
    "tr",
    { role: "row" },
    cell("Number", link),
    cell("Carrier", datum(carrier, "")),
    cell("Status", pill),
    cell("From", ...linesOfAddress(sender_address)),
    cell("To", ...linesOfAddress(receiver_address)),
    cell("Articles", String(articles.length)),
  );
}

function showChosen(state) {
  const chip = ([name, value]) => {
    const left = state.filters.filter((filter) => filter[0] !== name || filter[1] !== value);
    const link = element("a", { href: addressOf({ ...state, filters: left, offset: 0 }) });
    link.append(element("span", { class: "off-screen" }, "Remove filter "), `${FACETS[name] || "Number"}: `, datum(value, ""));
    return element("li", {}, link);
  };
  const clear = element("li", {}, element("a", { href: addressOf({ filters: [], limit: state.limit, offset: 0 }) }, "Clear all"));
  byId("chosen").replaceChildren(...(state.filters.length ? [...state.filters.map(chip), clear] : []));
  byId("chosen").hidden = !state.filters.length;
}

function showPager(state, shown, count) {
  const { limit, offset } = state;
  const last = Math.max(0, Math.ceil(count / limit) - 1) * limit;
  const to = (text, target, there) => {
    if (!there) return element("span", { "aria-disabled": "true" }, text);
    return element("a", { href: addressOf({ ...state, offset: target }) }, text);
  };
  const range = shown ? `${(offset + 1).toLocaleString("en")}–${(offset + shown).toLocaleString("en")} of ${count.toLocaleString("en")}` : "";
  byId("pages").replaceChildren(
    to("First", 0, offset > 0),
    to("Previous", Math.min(Math.max(0, offset - limit), last), offset > 0),
    element("b", {}, range),
    to("Next", offset + limit, offset + limit < count),
    to("Last", last, offset < last),
  );
  return range;
}

/** Shows a state; `byHand` when the focus goes to the answer. */
async function show(state, byHand, asking) {
  const results = byId("results");
  if (results.hidden) say("Loading…");
  askDataset(asking).then(showAge, () => {});
  const page = asked(state.filters);
  page.set("limit", state.limit);
  page.set("offset", state.offset);
  const [shipments, counts] = await Promise.all([ask(`/v1/shipments?${page}`, asking), countFacets(state.filters, asking)]);
  if (asking.signal.aborted) return;
  const count = Number(shipments.count);
  const shown = shipments.results.length;
  const range = showPager(state, shown, count);
  byId("summary").textContent = counted(count, "shipment");
  byId("none").textContent = count ? "There is nothing on this page: the list is shorter." : "No shipment matches all of these filters.";
  byId("none").hidden = shown > 0;
  byId("table").hidden = !shown;
  byId("pager").hidden = !count;
  byId("rows").replaceChildren(...shipments.results.map(row));
  showChosen(state);
  showFacets(counts, state.filters);
  results.hidden = false;
  say(range ? `${counted(count, "shipment")}, ${range} shown` : byId("none").textContent, true);
  if (byHand) byId("summary").focus();
}

function showAddress(byHand) {
  const state = stateOfAddress();
  byId("number").value = state.filters.filter(([name]) => name === NUMBER).map(([, value]) => value).join(", ");
  const limit = String(state.limit);
  if (![...limits.options].some(({ value }) => value === limit)) limits.append(element("option", {}, limit));
  limits.value = limit;
  run((asking) => show(state, byHand, asking));
}

function go(address, byHand) {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  showAddress(byHand);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(addressOf(stateOf(new URLSearchParams(new FormData(form)))), true);
});
// A filter takes effect at once, and the focus stays where it is.
for (const part of [byId("facets"), limits]) {
  part.addEventListener("change", () => go(addressOf(stateOf(new URLSearchParams(new FormData(form)))), false));
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !plain || link.pathname !== "/browse" || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search, true);
});

const wide = matchMedia("(min-width: 64.01rem)");
const unfoldFilters = () => (filters.open = wide.matches);
wide.addEventListener("change", unfoldFilters);
unfoldFilters();

addEventListener("popstate", () => showAddress(false));
showAddress(false);
