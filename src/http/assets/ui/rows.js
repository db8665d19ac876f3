
// Rows of shipments, as all views of the desk show them.

const results = byId("results");
const heading = byId("summary");

/** Shows the answer of a view, with the title of the page and what is read out to those whose focus stays. */
function conclude(byHand, title, spoken) {
  results.hidden = false;
  document.title = `${title} · ${SITE}`;
  say(byHand ? "" : spoken, true);
  if (byHand) heading.focus();
}

/** Of each stage: how many of the four steps are done, and whether something is wrong. */
const STEPS_DONE = {
  __proto__: null,
  pre_transit: [1],
  in_transit: [2],
  out_for_delivery: [3],
  available_for_pickup: [3],
  delivered: [4],
  attempt_failed: [3, true],
  returning: [0, true],
  exception: [0, true],
  cancelled: [0, true],
};
const stageName = (stage) => (stage in STEPS_DONE ? t(`stage.${stage}`) : "");

/** Four steps, as far as they are done, or an exclamation mark. What it says is its name, too. */
function newStageIcon(stage, isNamed) {
  const [done, isOdd] = STEPS_DONE[stage];
  const steps = isOdd ? ["!"] : [1, 2, 3, 4].map((step) => element("i", step <= done ? { class: "on" } : {}));
  const named = isNamed ? { role: "img", "aria-label": stageName(stage) } : { "aria-hidden": "true" };
  return element("span", { class: isOdd ? "stage odd" : "stage", title: stageName(stage), ...named }, ...steps);
}

/** The icons of stages that were made: copying one takes less time than making it. */
const icons = new Map();

/** The icon of a stage, if it has one: an array. It has a name where no text beside it says the same. */
function stageIcon(stage, isNamed = false) {
  if (!(stage in STEPS_DONE)) return [];
  const key = `${stage} ${isNamed}`;
  if (!icons.has(key)) icons.set(key, newStageIcon(stage, isNamed));
  return [icons.get(key).cloneNode(true)];
}

function statusOf(status, stage) {
  return element("span.state", ...stageIcon(stage, true), datum(status, t("no_status")));
}

/** The town; the street is shown on demand. */
function placeOf(address, country) {
  if (address === undefined) return [datum(country || "", "")];
  const lines = linesOfAddress(address);
  if (lines.length > 1) lines[0].className = "street";
  return lines;
}

const cell = (label, ...content) => element("td", { role: "cell", "data-label": label }, ...content);

const linkTo = (tracking_number, carrier, text = tracking_number) => {
  const parameters = inLanguage(new URLSearchParams({ n: tracking_number, carrier }));
  return element("a", { href: `/?${parameters}`, dir: "auto", class: "number" }, text);
};

/** The texts of labels are the same for all rows: they are looked up once. */
function rowMaker() {
  const [number, carrier, status, from, to, articles] = ["number", "facet.carrier", "facet.status", "from", "to", "articles"].map((key) => t(key));
  return (shipment, typed) =>
    element(
      "tr",
      { role: "row" },
      cell(number, linkTo(shipment.tracking_number, shipment.carrier, typed)),
      cell(carrier, datum(shipment.carrier, "")),
      cell(status, statusOf(shipment.status, shipment.stage)),
      cell(from, ...placeOf(shipment.sender_address, shipment.sender_country)),
      cell(to, ...placeOf(shipment.receiver_address, shipment.receiver_country)),
      cell(articles, shipment.articles ? numeral(shipment.articles.length) : ""),
    );
}

/** Sets the heads of the columns: `[key, content]`, the content being a text where there is no other. */
function showColumns(view, ...columns) {
  byId("table").className = view;
  byId("columns").replaceChildren(...columns.map(([key, content]) => element("th", { scope: "col", role: "columnheader" }, content || t(key))));
}

const SHIPMENT_COLUMNS = [["facet.carrier"], ["facet.status"], ["from"], ["to"], ["articles"]];

/** A cell of a table for spreadsheets: what they would run as a formula begins with an apostrophe, which they hide. */
function csvCell(text) {
  const isFormula = /^[=+\-@\t\r\n]/.test(text);
  return `"${isFormula ? "'" : ""}${text.replaceAll('"', '""')}"`;
}

const csvOf = (rows) => new Blob(["\uFEFF", ...rows.map((cells) => `${cells.map(csvCell).join(",")}\r\n`)], { type: "text/csv" });

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Copies a text, where the page came without TLS, too. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const put = (event) => {
    event.preventDefault();
    event.clipboardData.setData("text/plain", text);
  };
  document.addEventListener("copy", put, { once: true });
  document.execCommand("copy");
}
