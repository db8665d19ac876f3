
// The desk. Its address is its state: the API's own parameters, without those at their defaults.

const NUMBER = "tracking_number";
const PREFIX = "tracking_number_prefix";
const SORTS = ["", NUMBER, `-${NUMBER}`];
const LIMIT = 50;
const LIMIT_MAX = 1000;
/** How long typing has to rest before it is asked for. */
const REST_MS = 120;
/** What takes typed or pasted text. */
const FIELDS = "input:not([type=checkbox]), select, textarea";
/** All that this page needs is in it. */
const later = async () => {};
const SITE = document.title.split(" · ").at(-1);

const form = byId("form");
const field = byId("number");
const limits = byId("limit");
const sorts = byId("sort");
const filters = byId("filters");

/** `{filters, sort, limit, offset}` of an address, what is unusable left out: filters are `[name, value]`, each once. */
function stateOf(parameters) {
  const isFilter = (name) => FACETS.includes(name) || name === NUMBER || name === PREFIX;
  const usable = [...parameters].filter(([name, value]) => isFilter(name) && value.trim());
  const seen = new Map(usable.map(([name, value]) => [`${name} ${fold(value)}`, [name, value]]));
  const whole = (name, least, most, otherwise) => {
    const text = parameters.get(name) || "";
    return /^\d{1,15}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : otherwise;
  };
  const sort = parameters.get("sort");
  return { filters: [...seen.values()], sort: SORTS.includes(sort) ? sort : "", limit: whole("limit", 1, LIMIT_MAX, LIMIT), offset: whole("offset", 0, Infinity, 0) };
}

const stateOfAddress = () => stateOf(new URLSearchParams(location.search));

const inShipments = () => document.body.dataset.view === "shipments";

/**
 * The state that is chosen on the page, from its first page on. Numbers of the address are not in a field, and neither
 * are facets in other views than that of shipments.
 */
function stateChosen(facets = [...byId("facets").querySelectorAll(":checked")].map(({ name, value }) => [name, value])) {
  const numbers = stateOfAddress().filters.filter(([name]) => name === NUMBER);
  const prefix = field.value.trim() ? [[PREFIX, field.value.trim()]] : [];
  return { filters: [...numbers, ...prefix, ...(inShipments() ? facets : [])], sort: sorts.value, limit: Number(limits.value), offset: 0 };
}

function addressOf({ filters, sort, limit, offset }) {
  const parameters = new URLSearchParams(filters);
  if (sort) parameters.set("sort", sort);
  if (limit !== LIMIT) parameters.set("limit", limit);
  if (offset) parameters.set("offset", offset);
  inLanguage(parameters);
  return `/browse${String(parameters) && `?${parameters}`}`;
}

/**
 * The filters as the API takes them. A number, or its beginning, is asked for as typed and without blanks and dashes:
 * several values of one parameter mean any of them.
 */
function asked(filters) {
  const readings = ([name, value]) => [[name, value.trim()], [name, bare(value)]];
  const all = filters.flatMap((filter) => (filter[0] === NUMBER || filter[0] === PREFIX ? readings(filter) : [filter]));
  const distinct = new Map(all.filter(([, value]) => value).map((filter) => [filter.join(" "), filter]));
  return new URLSearchParams([...distinct.values()]);
}

function exportOf({ filters, sort }) {
  const parameters = asked(filters);
  if (sort) parameters.set("sort", sort);
  return `/v1/shipments.csv${parameters.size ? `?${parameters}` : ""}`;
}

function showChosen(state) {
  const chips = state.filters;
  const chip = ([name, value]) => {
    const left = state.filters.filter((filter) => filter[0] !== name || filter[1] !== value);
    const link = element("a", { href: addressOf({ ...state, filters: left, offset: 0 }) });
    link.append(element("span.off-screen", `${t("remove_filter")} `), `${FACETS.includes(name) ? t(`facet.${name}`) : t("number")}: `, datum(worded(name, value), ""), name === PREFIX ? "…" : "");
    return element("li", link);
  };
  const clear = element("li", element("a", { href: addressOf({ ...state, filters: [], offset: 0 }) }, t("clear_all")));
  byId("chosen").replaceChildren(...(chips.length ? [...chips.map(chip), clear] : []));
  byId("chosen").hidden = !chips.length;
  const { dataset } = filters.firstElementChild;
  const folded = chips.filter(([name]) => name !== PREFIX).length;
  if (folded) dataset.n = numeral(folded);
  else delete dataset.n;
}

/** What is shown, where its controls are not. */
function showOnPaper(...texts) {
  byId("paper").textContent = texts.filter(Boolean).join(" · ");
}

/** Fills the pagers above and below the table; a link that leads nowhere is a text. */
function fillPagers(before, range, after) {
  const link = ([key, address]) => (address ? element("a", { href: address }, t(key)) : element("span", { "aria-disabled": "true" }, t(key)));
  for (const pages of document.querySelectorAll(".pages")) pages.replaceChildren(...before.map(link), element("b", range), ...after.map(link));
}

function showPager(state, shown, count) {
  const { limit, offset } = state;
  const last = Math.max(0, Math.ceil(count / limit) - 1) * limit;
  const at = (target, isThere) => (isThere ? addressOf({ ...state, offset: target }) : null);
  const range = shown ? t("range", { from: offset + 1, to: offset + shown, n: count }) : "";
  // One page has nowhere to go.
  if (count <= limit && !offset) fillPagers([], range, []);
  else fillPagers(
    [["first", at(0, offset > 0)], ["previous", at(Math.min(Math.max(0, offset - limit), last), offset > 0)]],
    range,
    [["next", at(offset + limit, offset + limit < count)], ["last", at(last, offset < last)]],
  );
  byId("pager").hidden = !count;
  byId("pager-below").hidden = count <= limit || shown < 10;
  showOnPaper(shown < count ? range : "");
  return range;
}

/** The head of the column of numbers sorts by them: up, down, and in the order of the file again. */
function numberHead({ sort }) {
  const button = element("button.sort", { type: "button" }, t("number"), element("span", { "aria-hidden": "true" }, ["", " ↑", " ↓"][SORTS.indexOf(sort)]));
  button.onclick = () => {
    sorts.value = SORTS[(SORTS.indexOf(sort) + 1) % SORTS.length];
    go(addressOf(stateChosen()), false);
  };
  return button;
}

/** Shows shipments; `byHand` when the focus goes to the answer. */
async function showShipments(byHand, asking) {
  setView("shipments");
  const state = stateOfAddress();
  note(asking);
  const page = asked(state.filters);
  if (state.sort) page.set("sort", state.sort);
  page.set("limit", state.limit);
  page.set("offset", state.offset);
  const [shipments, counts] = await Promise.all([ask(`/v1/shipments?${page}`, asking), countFacets(state.filters, asking)]);
  if (asking.signal.aborted) return;
  const count = Number(shipments.count);
  const shown = shipments.results.length;
  if (byHand && !count && !isPlain(field.value)) return openList([field.value]);
  const range = showPager(state, shown, count);
  const isSorting = document.activeElement.className === "sort";
  showColumns("shipments", ["number", numberHead(state)], ...SHIPMENT_COLUMNS);
  byId("columns").firstChild.setAttribute("aria-sort", ["none", "ascending", "descending"][SORTS.indexOf(state.sort)]);
  if (isSorting) byId("columns").querySelector("button").focus();
  const make = rowMaker();
  byId("rows").replaceChildren(...shipments.results.map((shipment) => make(shipment)));
  heading.textContent = t("shipments", { n: count });
  byId("none").textContent = count ? t("nothing_here") : t("none_match");
  byId("none").hidden = shown > 0;
  byId("table").hidden = !shown;
  byId("done").textContent = t("show_results", { n: count });
  byId("download").href = exportOf(state);
  byId("download").hidden = byId("order").hidden = byId("full").hidden = !count;
  showChosen(state);
  showFacets(counts, state.filters);
  conclude(byHand, heading.textContent, range ? `${heading.textContent}, ${range}` : byId("none").textContent);
}

/** What of the page is there in a view. */
function setView(view) {
  document.body.dataset.view = view;
  results.hidden ||= byId("table").className !== view;
  if (results.hidden) say(t("loading_view"));
  const isShipments = view === "shipments";
  byId("back").hidden = isShipments;
  byId("back").href = addressOf({ filters: [], sort: "", limit: LIMIT, offset: 0 });
  byId("order").hidden = filters.hidden = !isShipments;
  byId("full").hidden = view === "changes";
  byId("copy").hidden = true;
  byId("download").hidden = false;
  if (isShipments) return (byId("narrow").hidden = true);
  showOnPaper();
  byId("chosen").hidden = byId("pager").hidden = byId("pager-below").hidden = true;
  byId("download").href = "#";
}

/** Shows what the address says. What is being typed is left alone. */
function showAddress(byHand, isTyping) {
  const parameters = new URLSearchParams(location.search);
  if (location.hash === LIST_HASH) return run((asking) => showList(byHand, asking));
  if (parameters.get(SINCE)) return run((asking) => showChanges(byHand, asking));
  const state = stateOfAddress();
  if (!isTyping) field.value = state.filters.filter(([name]) => name === PREFIX).map(([, value]) => value).join(", ");
  const limit = String(state.limit);
  if (![...limits.options].some(({ value }) => value === limit)) limits.append(element("option", limit));
  limits.value = limit;
  sorts.value = state.sort;
  return run((asking) => showShipments(byHand, asking));
}

/** Brings what is typed into the address. Other views stay in the history; each letter does not. */
function keepTyped() {
  clearTimeout(resting);
  resting = 0;
  const facets = stateOfAddress().filters.filter(([name]) => FACETS.includes(name));
  history[inShipments() ? "replaceState" : "pushState"](null, "", addressOf(stateChosen(facets)));
}

function go(address, byHand) {
  // What is done after typing is a step of its own.
  if (resting) keepTyped();
  if (address !== location.pathname + location.search + location.hash) history.pushState(null, "", address);
  showAddress(byHand);
}

/** Whether a text is a number or its beginning as it stands; others have to be read. */
const isPlain = (text) => /^[\p{L}\p{N}-]*$/u.test(text.trim());

let resting = 0;
field.oninput = () => {
  clearTimeout(resting);
  resting = setTimeout(() => {
    keepTyped();
    showAddress(false, true);
  }, REST_MS);
};
// The field would put lines together: a list is read as it was copied. One may be pasted anywhere but into other fields.
document.addEventListener("paste", (event) => {
  if (event.target !== field && event.target.closest?.(FIELDS)) return;
  const text = event.clipboardData.getData("text/plain");
  if (!isPlain(text)) {
    event.preventDefault();
    openList(text.split(/[\r\n]+/));
  } else if (event.target !== field && text.trim()) {
    field.focus();
    field.value = text.trim();
    field.dispatchEvent(new Event("input"));
  }
});
// By Enter: the form has a button for it that nobody sees, since it has several fields.
form.onsubmit = (event) => {
  event.preventDefault();
  go(addressOf(stateChosen()), true);
};
// A filter takes effect at once, and the focus stays where it is.
for (const part of [byId("facets"), limits, sorts]) {
  part.addEventListener("change", ({ target }) => target.className !== "find" && go(addressOf(stateChosen()), false));
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link?.matches(".skip")) {
    // Its address would be another view.
    event.preventDefault();
    byId("shipments").focus();
  }
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || event.defaultPrevented || !plain || link.pathname !== "/browse" || link.hash) return;
  event.preventDefault();
  go(link.pathname + link.search, true);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "/" && !event.target.closest(FIELDS)) {
    event.preventDefault();
    field.focus();
    field.select();
  }
  if (event.key === "Escape" && event.target === field && field.value) {
    event.preventDefault();
    field.value = "";
    field.dispatchEvent(new Event("input"));
  }
});

// A download is the browser's own, but for those who have to show a key.
let downloading = null;
byId("download").onclick = async (event) => {
  const { view: kind } = document.body.dataset;
  event.preventDefault();
  if (kind === "list") return saveList();
  if (downloading) return downloading.abort();
  const link = byId("download");
  const address = link.getAttribute("href");
  const { signal } = (downloading = new AbortController());
  const onProgress = (text) => (link.textContent = `${text} · ${t("cancel")}`);
  try {
    // A file of other data than the list is said to be.
    if (await hasNews()) say(t("newer_file"));
    if (kind === "shipments" && !key) return element("a", { href: address, download: "" }).click();
    onProgress(t("downloading"));
    await (kind === "changes" ? saveChanges(signal, onProgress) : saveExport(address, signal, onProgress));
  } catch {
    if (!signal.aborted) alarm(t("download_failed"));
  } finally {
    downloading = null;
    link.textContent = t("download");
  }
};

/** Browsers put large blobs on disk: what is in memory is one part. */
async function saveExport(address, signal, onProgress) {
  const PART = 4 << 20;
  const answer = await fetch(address, { signal, headers: { ...keyHeader() } });
  if (!answer.ok) throw new Error(String(answer.status));
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"))?.[1] || "shipments.csv";
  let [blob, parts, waiting, all] = [new Blob([], { type: "text/csv" }), [], 0, 0];
  for await (const part of chunksOf(answer.body)) {
    parts.push(part);
    waiting += part.length;
    all += part.length;
    if (waiting < PART) continue;
    [blob, parts, waiting] = [new Blob([blob, ...parts], { type: "text/csv" }), [], 0];
    onProgress(`${numeral(Math.round(all / 1e6))} MB`);
  }
  save(new Blob([blob, ...parts], { type: "text/csv" }), name);
}

async function* chunksOf(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

const FULL = "waybill-full";
const showFull = (isFull) => {
  document.body.classList.toggle("full", isFull);
  byId("full").setAttribute("aria-pressed", isFull);
};
byId("full").onclick = () => {
  const isFull = !document.body.classList.contains("full");
  showFull(isFull);
  try {
    localStorage.setItem(FULL, isFull ? "1" : "");
  } catch {}
};
try {
  showFull(Boolean(localStorage.getItem(FULL)));
} catch {}

const wide = matchMedia("(min-width: 64.01rem)");
const unfoldFilters = () => (filters.open = wide.matches);
wide.addEventListener("change", unfoldFilters);
unfoldFilters();
byId("done").onclick = () => {
  filters.open = false;
  heading.focus();
};

addEventListener("popstate", () => showAddress(false));
showAddress(false);
