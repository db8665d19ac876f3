
// The facets of the desk: what there is to choose, and what is chosen.

const FACETS = ["carrier", "status", "stage", "receiver_country", "receiver_city", "sender_country", "sender_city"];
/** Values of a facet that are shown at first, and that the API gives at most. */
const VALUES_SHOWN = 8;
/** So few more are shown, too. */
const VALUES_MORE = 2;
const VALUES_MAX = 100;
/** Values from which on a facet can be searched. */
const VALUES_SEARCHED = 12;

/** Facets of which all values are shown, and what is searched for in them. */
const unfolded = new Set();
const sought = new Map();

/**
 * Counts of all facets. The API applies every filter to every facet; to offer what else could be chosen, a facet with
 * chosen values is counted without them.
 */
async function countFacets(filters, asking) {
  const without = (left) => ask(`/v1/facets?${asked(filters.filter(([name]) => name !== left))}`, asking);
  const chosen = FACETS.filter((facet) => filters.some(([name]) => name === facet));
  const [all, ...others] = await Promise.all([without(null), ...chosen.map(without)]);
  chosen.forEach((facet, at) => (all.facets[facet] = others[at].facets[facet]));
  return all.facets;
}

/** A value in words: that of a stage has a name. */
const worded = (facet, value) => (facet === "stage" && stageName(value)) || value;

/** As people type it who lack the keys: without accents, in any case. */
const LETTERS = { ł: "l", ø: "o", đ: "d", ß: "ss", æ: "ae", œ: "oe" };
const withoutAccents = (text) => fold(text).normalize("NFD").replace(/\p{M}/gu, "").replace(/[łøđßæœ]/g, (letter) => LETTERS[letter]);

function facetBox(facet, values, filters) {
  const chosen = filters.filter(([name]) => name === facet).map(([, value]) => value);
  const isChosen = (value) => chosen.some((one) => fold(one) === fold(value));
  const gone = chosen.filter((one) => !values.some(({ value }) => fold(value) === fold(one)));
  const all = [...values, ...gone.map((value) => ({ value, count: "0" }))];
  const box = element("fieldset", element("legend", t(`facet.${facet}`)));
  const labels = all.map(({ value, count }) => {
    const check = element("input", { type: "checkbox", name: facet, value });
    check.checked = isChosen(value);
    // The API has no filter for what is empty.
    check.disabled = value.trim() === "";
    const text = datum(worded(facet, value), t("no_value"));
    if (facet === "stage") text.prepend(...stageIcon(value));
    return element("label", check, text, element("span.count", numeral(Number(count))));
  });
  const isLong = all.length > VALUES_SHOWN + VALUES_MORE;
  const unfold = element("button.link", { type: "button" });
  const search = element("input", { type: "search", class: "find", "aria-label": t("find_in", { facet: t(`facet.${facet}`) }), placeholder: t("find"), autocomplete: "off" });
  const note = element("p.quiet.hint", { role: "status" });
  let fitting = [];
  const fill = () => {
    const wanted = withoutAccents(sought.get(facet) || "");
    const isOpen = unfolded.has(facet);
    fitting = labels.filter((label, at) => (wanted ? withoutAccents(label.children[1].textContent).includes(wanted) : at < VALUES_SHOWN || isOpen));
    for (const label of labels) label.hidden = !fitting.includes(label) && !label.firstChild.checked;
    unfold.hidden = wanted !== "";
    unfold.textContent = isOpen ? t("show_fewer") : values.length < VALUES_MAX ? t("show_all", { n: all.length }) : t("show_most", { n: all.length });
    unfold.setAttribute("aria-expanded", isOpen);
    const none = wanted && !fitting.length ? t("find_none") : "";
    const most = (wanted || isOpen) && values.length >= VALUES_MAX ? t("listed", { n: VALUES_MAX }) : "";
    note.textContent = [none, most].filter(Boolean).join(" ");
  };
  unfold.onclick = () => {
    if (!unfolded.delete(facet)) unfolded.add(facet);
    fill();
  };
  search.value = sought.get(facet) || "";
  search.oninput = () => {
    sought.set(facet, search.value);
    fill();
  };
  search.onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      const check = fitting[0]?.firstChild;
      if (search.value.trim() && fitting.length === 1 && !check.checked) check.click();
    }
    if (event.key !== "Escape" || !search.value) return;
    event.preventDefault();
    search.value = "";
    sought.delete(facet);
    fill();
  };
  box.append(...(all.length < VALUES_SEARCHED ? [] : [search]), ...labels, ...(isLong ? [unfold, note] : []));
  if (isLong) fill();
  if (!all.length) box.append(element("p.quiet", t("no_values")));
  return box;
}

/** The box that had the focus keeps it, though it is another now; the focus of one that is no more goes to the answer. */
function showFacets(counts, filters) {
  const { name, value, ariaLabel } = document.activeElement;
  const isSearch = document.activeElement.className === "find";
  byId("facets").replaceChildren(...FACETS.filter((facet) => counts[facet]).map((facet) => facetBox(facet, counts[facet], filters)));
  const all = [...byId("facets").querySelectorAll("input")];
  const same = all.find((one) => (isSearch ? one.ariaLabel === ariaLabel : one.name === name && one.type === "checkbox" && fold(one.value) === fold(value || "")));
  if (same) same.focus();
  else if (isSearch || FACETS.includes(name)) heading.focus();
}
