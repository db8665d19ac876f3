
// Long lists, and their counts.

/** One line for a shipment; its card is made when it is opened. */
function line(shipment, typed) {
  const { tracking_number, carrier, status } = shipment;
  const id = `${fold(carrier)} ${fold(tracking_number)}`;
  const pill = element("span.status", datum(status, t("no_status")));
  const summary = element("summary", datum(tracking_number, "", "b.number"), datum(carrier, ""), pill);
  const made = element("details.card.line", summary);
  if (opened.has(id)) made.append(card(shipment, typed));
  made.open = opened.has(id);
  made.ontoggle = () => {
    if (!made.open) return opened.delete(id);
    opened.add(id);
    if (made.children.length === 1) made.append(card(shipment, typed));
  };
  return made;
}

/** How many shipments of a long list have which status. */
function countsOf(numbers) {
  const counts = new Map();
  const add = (status, count) => count && counts.set(status, (counts.get(status) || 0) + count);
  numbers.forEach(({ shipments }) => shipments.forEach(({ status }) => add(status.trim(), 1)));
  const item = ([status, count]) => element("li", element("b", numeral(count)), " ", datum(status, t("no_status")));
  const items = [...counts].sort((one, other) => other[1] - one[1]).map(item);
  const missing = numbers.filter(({ shipments }) => !shipments.length).length;
  if (missing) items.push(element("li.none", element("b", numeral(missing)), ` ${t("missing")}`));
  return items;
}

/** The desk reads the list out of this tab's memory: it may be too long for an address. */
function offerTable(lines) {
  const link = byId("table");
  if (!link) return;
  link.hidden = false;
  link.onclick = () => {
    try {
      sessionStorage.setItem("waybill-list", JSON.stringify(lines));
    } catch {}
  };
}
