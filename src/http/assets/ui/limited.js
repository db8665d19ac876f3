
// The card of a shipment whose addresses and articles want the receiver's postcode.

let limitedCards = 0;
/** What everybody may see; the postcode of the receiver shows the rest. */
function limitedCard({ tracking_number, carrier, sender_country, receiver_country }, head) {
  const country = (label, name) => element("div", element("dt", label), element("dd", datum(name || "", t("not_known"))));
  const route = element("dl.route", country(t("from"), sender_country), country(t("to"), receiver_country));
  const made = element("article.card", ...head, route);
  if (receiver_country === null) {
    made.append(element("p.more.quiet", t("no_postcode")));
    return made;
  }
  const id = `postcode-${++limitedCards}`;
  const said = element("p", { role: "status", id: `${id}-said` });
  const postcode = element("input", { id, autocomplete: "postal-code", spellcheck: "false", required: "", "aria-describedby": said.id });
  const label = element("label", { for: id }, t("postcode"));
  const why = element("p.quiet.hint", t("postcode_why"));
  const more = element("form.more", label, why, postcode, element("button.button", t("show_all")), said);
  more.onsubmit = async (event) => {
    event.preventDefault();
    // A wrong one that is sent twice counts twice.
    if (more.ariaBusy === "true") return;
    more.ariaBusy = "true";
    said.textContent = t("looking");
    const asking = { signal: viewSignal(), onLoading: () => (said.textContent = t("loading")) };
    try {
      const { results } = await askBatch([{ tracking_number, carrier, postcode: postcode.value.trim() || null }], asking);
      const [shipment] = results[0].shipments;
      if (shipment && !shipment.limited) {
        postcodes.set(fold(tracking_number), postcode.value.trim());
        const at = [...document.querySelectorAll(".card")].indexOf(made);
        replaceShipment(shipment);
        document.querySelectorAll(".card")[at].querySelector("h3").focus();
        return;
      }
      said.textContent = shipment ? t("wrong_postcode") : t("gone");
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      said.textContent = failure.message;
    } finally {
      more.ariaBusy = "false";
    }
    postcode.focus();
  };
  made.append(more);
  return made;
}
