
// What changed with the last export or since another one, and that there is a newer one. Servers that keep no changes tell nothing of it.

const LOOK_EVERY_MS = 30000;
const KINDS = ["added", "changed", "removed"];
const CHANGES_LIMIT = 50;
const CHANGES_LIMIT_MAX = 1000;
const SINCE = "since";

/** The version that is shown, the one before it, and the one whose changes are told above. */
let shownVersion = null;
let previousVersion = null;
let toldVersion = null;

/** Where this browser keeps when the exports that it saw were written: JSON, `[version, time]` from the oldest on. */
const EXPORTS = "waybill-exports";
const EXPORTS_MAX = 50;

/** When an export was written, as far as this browser saw it. */
let writtenAt = new Map();
try {
  writtenAt = new Map(JSON.parse(localStorage.getItem(EXPORTS)));
} catch {}

/** Numbers and dates as in the reader's region, if they prefer the language of the page in one. */
const REGION = navigator.languages.find((language) => language.split("-")[0] === LANGUAGE) || LANGUAGE;

/** Shows when the data was written, and keeps it. */
function showWritten(dataset) {
  showAge(dataset);
  const { version, modified_at } = dataset;
  if (!modified_at) return;
  byId("age").querySelector("time").title = new Date(modified_at).toLocaleString(REGION);
  if (writtenAt.get(version) === modified_at) return;
  writtenAt.delete(version);
  writtenAt.set(version, modified_at);
  try {
    localStorage.setItem(EXPORTS, JSON.stringify([...writtenAt].slice(-EXPORTS_MAX)));
  } catch {}
}

const note = (asking) => askDataset(asking).then(noteDataset, () => {});

/** What a view learns of the dataset that it shows. */
function noteDataset(dataset) {
  shownVersion = dataset.version;
  previousVersion = dataset.previous_version;
  byId("news").replaceChildren();
  showWritten(dataset);
  if (dataset.previous_version && toldVersion !== dataset.version) tellLastExport(dataset);
  byId("export").hidden = !dataset.previous_version;
}

/** Asks without a word where it fails: nobody has asked for it. */
async function quietly(path) {
  const answer = await fetch(path, { cache: "no-store", headers: { ...keyHeader() } }).catch(() => null);
  return answer?.ok ? readJson(await answer.text()) : null;
}

async function tellLastExport({ version, previous_version }) {
  toldVersion = version;
  const count = (kind) => quietly(`/v1/changes?${new URLSearchParams({ since: previous_version, kind, limit: 1 })}`);
  const pages = await Promise.all(KINDS.map(count));
  // A key without the scope sees nothing of it.
  if (toldVersion !== version || pages.some((page) => page?.version !== version)) return;
  const counts = pages.map((page) => Number(page.count));
  const line = byId("export");
  if (!counts.some(Boolean)) return line.replaceChildren(t("nothing_changed"));
  const links = KINDS.map((kind, at) => {
    const text = t(`count.${kind}`, { n: counts[at] });
    return counts[at] ? element("a", { href: changesAddress({ since: previous_version, kind }) }, text) : text;
  });
  line.replaceChildren(...pieces("last_export", { added: links[0], changed: links[1], removed: links[2] }));
}

/** `{since, kind, carrier, status, cursor, version, offset}`: the API's own parameters, and the number of changes before. */
function changesAddress(state) {
  const parameters = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
  return `/browse?${inLanguage(parameters)}`;
}

function changesOfAddress() {
  const parameters = new URLSearchParams(location.search);
  const names = [SINCE, "kind", "carrier", "status", "cursor", "version", "offset"];
  return Object.fromEntries(names.map((name) => [name, parameters.get(name) || ""]));
}

function changesPath({ offset, ...state }, limit) {
  const parameters = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
  parameters.set("limit", limit);
  return `/v1/changes?${parameters}`;
}

/** What changes are counted from, in words. */
function comparedWith(since) {
  if (since === previousVersion) return t("with_last_export");
  const time = new Date(writtenAt.get(since) ?? NaN);
  return isNaN(time) ? t("since_version", { version: since.slice(0, 8) }) : t("since_export", { time: time.toLocaleString(REGION, { dateStyle: "medium", timeStyle: "short" }) });
}

/** The addresses of pages before, as far as somebody came from them. */
const cameFrom = new Map();

async function showChanges(byHand, asking) {
  setView("changes");
  const state = changesOfAddress();
  const path = changesPath(state, CHANGES_LIMIT);
  const isGone = (failure) => noneIfGone(path, failure);
  const noted = note(asking);
  const [page, { facets }] = await Promise.all([ask(path, asking).catch(isGone), ask("/v1/facets", asking), noted]);
  if (asking.signal.aborted) return;
  // Pages of one version end with it; the changes up to the next one have a first page.
  if (!page && state.version) {
    const { cursor, version, offset, ...first } = state;
    history.replaceState(null, "", changesAddress(first));
    return showChanges(byHand, asking);
  }
  showColumns("changes", ["change"], ["number"], ["facet.carrier"], ["before"], ["now"], ["fields"]);
  if (!page) return showGone(byHand);
  const count = Number(page.count);
  const offset = Number(state.offset) || 0;
  byId("number").value = "";
  heading.textContent = `${t("changes", { n: count })} · ${comparedWith(state.since)}`;
  byId("rows").replaceChildren(...page.results.map(changeRow));
  byId("none").textContent = t("no_changes");
  byId("none").hidden = count > 0;
  byId("table").hidden = !page.results.length;
  showChangesPager(state, page, offset, count);
  showChangesNarrowing(state, facets);
  conclude(byHand, t("what_changed"), heading.textContent);
}

/** Nothing, for a failure that comes of a version that is forgotten. */
async function noneIfGone(path, failure) {
  const answer = await fetch(path, { method: "HEAD", headers: { ...keyHeader() } }).catch(() => null);
  if (answer?.status !== 410) throw failure;
  return null;
}

function showGone(byHand) {
  heading.textContent = t("what_changed");
  byId("none").textContent = t("changes_gone");
  byId("none").hidden = false;
  byId("table").hidden = byId("narrow").hidden = byId("download").hidden = true;
  conclude(byHand, t("what_changed"), t("changes_gone"));
}

function changeRow({ kind, carrier, tracking_number, status, previous_status, fields = [] }) {
  const number = kind === "removed" ? datum(tracking_number, "", "span", { class: "number" }) : linkTo(tracking_number, carrier);
  const names = fields.map((field) => t(`field.${field}`)).join(", ");
  const state = (text) => (text === null ? "" : datum(text, t("no_status")));
  const isOther = status !== null && status !== previous_status;
  const now = isOther ? element("b", state(status)) : state(status);
  return element(
    "tr",
    { role: "row", class: kind },
    cell(t("change"), element("span", { class: `kind ${kind}` }, t(`kind.${kind}`))),
    cell(t("number"), number),
    cell(t("facet.carrier"), datum(carrier, "")),
    cell(t("before"), state(previous_status)),
    cell(t("now"), now),
    cell(t("fields"), names),
  );
}

/** The API leads from page to page; the way back is where somebody came from. */
function showChangesPager(state, page, offset, count) {
  const here = location.pathname + location.search;
  const { cursor, version, offset: _, ...first } = state;
  const links = [["first", offset ? changesAddress(first) : null], ["previous", offset ? cameFrom.get(here) : null]];
  let next = null;
  if (page.next) {
    const parameters = new URL(page.next).searchParams;
    next = changesAddress({ ...first, cursor: parameters.get("cursor"), version: parameters.get("version"), offset: offset + page.results.length });
    cameFrom.set(next, here);
  }
  const range = page.results.length ? t("range", { from: offset + 1, to: offset + page.results.length, n: count }) : "";
  fillPagers(links, range, [["next", next]]);
  byId("pager").hidden = byId("pager-below").hidden = !count || (!page.next && !offset);
  const { kind, carrier, status } = state;
  const narrowed = [["change", kind && t(`kind.${kind}`)], ["facet.carrier", carrier], ["facet.status", status]];
  showOnPaper(...narrowed.filter(([, value]) => value).map(([key, value]) => `${t(key)}: ${value}`), byId("pager").hidden ? "" : range);
}

/** Kinds to choose from, and the carriers and statuses that there are now. */
function showChangesNarrowing(state, facets) {
  const { cursor, version, offset, ...filters } = state;
  const kinds = ["", ...KINDS].map((kind) => {
    const link = element("a", { href: changesAddress({ ...filters, kind }) }, kind ? t(`kind.${kind}`) : t("all"));
    if (filters.kind === kind) link.setAttribute("aria-current", "true");
    return link;
  });
  const select = (name, any) => {
    const values = facets[name].map(({ value }) => value).filter((value) => value.trim());
    if (filters[name] && !values.some((value) => fold(value) === fold(filters[name]))) values.push(filters[name]);
    const options = values.map((value) => element("option", { value }, value));
    const box = element("select", { "aria-label": t(`facet.${name}`) }, element("option", { value: "" }, any), ...options);
    box.value = values.find((value) => fold(value) === fold(filters[name])) || "";
    box.onchange = () => go(changesAddress({ ...filters, [name]: box.value }), true);
    return box;
  };
  byId("narrow").replaceChildren(...kinds, select("carrier", t("any_carrier")), select("status", t("any_status")));
  byId("narrow").hidden = false;
}

/** All pages of the view as a table for spreadsheets. */
async function saveChanges(signal, onProgress) {
  const { cursor, version, ...state } = changesOfAddress();
  const rows = [["change", "tracking_number", "carrier", "previous_status", "status", "fields"]];
  const asking = { signal, onLoading() {} };
  for (let path = changesPath(state, CHANGES_LIMIT_MAX); path; ) {
    const page = await ask(path, asking);
    for (const { kind, tracking_number, carrier, previous_status, status, fields = [] } of page.results) {
      rows.push([kind, tracking_number, carrier, previous_status ?? "", status ?? "", fields.join(" ")]);
    }
    onProgress(t("downloaded_rows", { n: rows.length - 1 }));
    const next = page.next && new URL(page.next);
    path = next && next.pathname + next.search;
  }
  save(csvOf(rows), "changes.csv");
}

/** Shows the newest data. A view of the last export is one of that, then. */
async function showNews() {
  byId("news").replaceChildren();
  heading.focus();
  const { cursor, version, offset, ...state } = changesOfAddress();
  const isOfLast = state.since && state.since === previousVersion;
  const dataset = isOfLast && (await quietly("/v1/dataset"));
  // Somebody may have gone elsewhere meanwhile.
  if (dataset?.previous_version && state.since === changesOfAddress().since) history.pushState(null, "", changesAddress({ ...state, since: dataset.previous_version }));
  showAddress(false);
}

/** Whether there is a newer export than that on the page. Nothing moves: a button offers to show it. */
async function hasNews() {
  const dataset = shownVersion && (await quietly("/v1/dataset"));
  if (!dataset) return false;
  if (dataset.version === shownVersion) {
    showWritten(dataset);
    return false;
  }
  const button = element("button.button", { type: "button" }, t("show"));
  button.onclick = showNews;
  byId("news").replaceChildren(element("span", t("new_data")), " ", button);
  return true;
}

/** Looks for a newer export while somebody looks at the page. */
const look = () => document.visibilityState === "visible" && !byId("news").firstChild && hasNews();
setInterval(look, LOOK_EVERY_MS);
document.addEventListener("visibilitychange", look);
