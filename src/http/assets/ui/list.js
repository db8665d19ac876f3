
// The list: up to 1,000 pasted numbers in one table. It is kept in this tab, never in an address.

/** Where this tab keeps it, as the tracking page writes it: JSON, an array of lines as typed. */
const LIST = "waybill-list";
const LIST_HASH = "#list";
let listKept = [];

function keepList(lines) {
  listKept = lines;
  try {
    sessionStorage.setItem(LIST, JSON.stringify(lines));
  } catch {}
}

function keptList() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(LIST));
    if (Array.isArray(kept)) return kept.filter((line) => typeof line === "string");
  } catch {}
  return listKept;
}

function openList(lines) {
  keepList(lines);
  go(addressOf({ filters: [], sort: "", limit: LIMIT, offset: 0 }) + LIST_HASH, true);
}

/** Where this tab keeps what of the list is shown: JSON, the list and the kind of rows. */
const NARROWING = "waybill-narrowing";

function keepNarrowing() {
  try {
    sessionStorage.setItem(NARROWING, JSON.stringify([keptList(), narrowedTo]));
  } catch {}
}

/** Another list is shown as a whole. */
function keptNarrowing() {
  try {
    const [list, kind] = JSON.parse(sessionStorage.getItem(NARROWING));
    if (list.join("\n") === keptList().join("\n")) return kind;
  } catch {}
  return null;
}

/** The rows of the list: `{typed, number, shipment}`, without a shipment where nothing is known. */
let listed = [];
/** What of it is shown: rows with this status, or those without a shipment, or all. */
let narrowedTo = null;
const MISSING = true;
const kindOf = ({ shipment }) => (shipment ? fold(shipment.status) : MISSING);
const isShown = (row) => narrowedTo === null || kindOf(row) === narrowedTo;

async function showList(byHand, asking) {
  setView("list");
  const lines = keptList().flatMap(linesOf);
  byId("number").value = "";
  if (!lines.length) {
    results.hidden = true;
    say(t("list_empty"));
    return byId("status").append(linkBack());
  }
  const guess = lines.flatMap(piecesOf).reduce((sum, piece) => sum + guessed(piece), 0);
  const readings = readingsOf(lines);
  if (guess > NUMBERS_MAX || !readings.length) {
    results.hidden = true;
    say("");
    return askForLess(lines, guess > NUMBERS_MAX ? t("list_too_many", { n: guess, most: NUMBERS_MAX }) : t("list_too_long", { most: NUMBERS_MAX }));
  }
  say(t("looking_up", { n: guess }), !results.hidden);
  note(asking);
  const found = await lookUp(readings, "", asking);
  const all = lines.flatMap((line) => numbersOf(line, found));
  const numbers = once(all);
  if (numbers.length === 1) {
    // One number, and what stood in it or around it.
    history.replaceState(null, "", addressOf({ filters: [[PREFIX, numbers[0].number]], sort: "", limit: LIMIT, offset: 0 }));
    return showAddress(byHand);
  }
  listed = numbers.flatMap(({ typed, number, shipments }) => (shipments.length ? shipments.map((shipment) => ({ typed, number, shipment })) : [{ typed, number }]));
  const kept = keptNarrowing();
  narrowedTo = listed.some((row) => kindOf(row) === kept) ? kept : null;
  const make = rowMaker();
  for (const row of listed) row.shown = row.shipment ? make(row.shipment, row.typed) : missingRow(row.typed);
  showColumns("list", ["typed"], ...SHIPMENT_COLUMNS);
  byId("rows").replaceChildren(...listed.map((row) => row.shown));
  const missing = listed.filter((row) => !row.shipment).length;
  const summary = [t("list_found", { found: numbers.length - missing, n: numbers.length })];
  if (all.length > numbers.length) summary.push(t("repeats", { n: all.length - numbers.length }));
  const shared = numbers.filter(({ shipments }) => shipments.length > 1).length;
  if (shared) summary.push(t("shared", { n: shared }));
  heading.textContent = summary.join(" · ");
  byId("copy").hidden = !missing;
  byId("copy").textContent = t("copy_missing", { n: missing });
  byId("none").hidden = true;
  byId("table").hidden = false;
  showNarrowing();
  conclude(byHand, heading.textContent, heading.textContent);
}

const linkBack = () => element("a", { href: byId("back").href }, t("back_to_all"));

/** Shows a list that is too long, to be shortened. */
function askForLess(lines, why) {
  const box = element("textarea", { id: "lines", rows: 8, spellcheck: "false" });
  box.value = lines.join("\n");
  const form = element("form.ask", element("label", { for: "lines" }, why), box, element("button.button", t("continue")), linkBack());
  form.onsubmit = (event) => {
    event.preventDefault();
    openList(box.value.split("\n"));
  };
  byId("alert").replaceChildren(form);
  box.focus();
}

function missingRow(typed) {
  const number = cell(t("typed"), element("span.number", { dir: "auto" }, typed));
  const none = cell(t("facet.status"), element("span.state.odd", element("span.stage.odd", { "aria-hidden": "true" }, "?"), t("not_found")));
  return element("tr.missing", { role: "row" }, number, cell(""), none, cell(""), cell(""), cell(""));
}

/** How many rows there are of each status, to be narrowed to by a click. */
function showNarrowing() {
  const counts = new Map();
  for (const row of listed) {
    const kind = kindOf(row);
    const known = counts.get(kind) || { kind, n: 0, row };
    known.n++;
    counts.set(kind, known);
  }
  const missing = counts.get(MISSING);
  counts.delete(MISSING);
  const choices = [];
  const narrow = () => {
    for (const row of listed) row.shown.hidden = !isShown(row);
    for (const [kind, button, name] of choices) {
      button.setAttribute("aria-pressed", narrowedTo === kind);
      if (narrowedTo === kind) showOnPaper(kind === null ? "" : name);
    }
  };
  const choice = (kind, n, label, icons = []) => {
    const button = element("button", { type: "button" }, ...icons, label, " ", element("b", numeral(n)));
    if (kind === MISSING) button.className = "odd";
    choices.push([kind, button, label.textContent ?? label]);
    button.onclick = () => {
      narrowedTo = narrowedTo === kind ? null : kind;
      keepNarrowing();
      narrow();
      say(t("rows_shown", { n: listed.filter(isShown).length }), true);
    };
    return button;
  };
  const byCount = [...counts.values()].sort((a, b) => b.n - a.n);
  byId("narrow").replaceChildren(
    choice(null, listed.length, t("all")),
    ...(missing ? [choice(MISSING, missing.n, t("only_missing"))] : []),
    ...byCount.map(({ kind, n, row }) => choice(kind, n, datum(row.shipment.status, t("no_status")), stageIcon(row.shipment.stage))),
  );
  byId("narrow").hidden = false;
  narrow();
}

/** The rows that are shown, as a table for spreadsheets. */
function saveList() {
  const withStages = listed.some(({ shipment }) => shipment?.stage);
  const head = ["typed", "found", "tracking_number", "carrier", "status", ...(withStages ? ["stage"] : []), "sender", "receiver", "articles"];
  const cells = ({ typed, shipment: of }) => {
    if (!of) return [typed, "no", ...Array(head.length - 2).fill("")];
    const stage = withStages ? [of.stage || ""] : [];
    return [typed, "yes", of.tracking_number, of.carrier, of.status, ...stage, of.sender_address ?? of.sender_country ?? "", of.receiver_address ?? of.receiver_country ?? "", String(of.articles?.length ?? "")];
  };
  save(csvOf([head, ...listed.filter(isShown).map(cells)]), "list.csv");
}

byId("copy").onclick = async () => {
  const button = byId("copy");
  const text = button.textContent;
  await copy(listed.filter((row) => !row.shipment).map((row) => row.typed).join("\n"));
  button.textContent = t("copied");
  say(t("copied"), true);
  setTimeout(() => button.textContent === t("copied") && (button.textContent = text), 2000);
};
