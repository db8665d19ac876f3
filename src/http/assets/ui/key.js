
// Asking for a key.

/** Shows a form for a key until it is sent; declined, which gives none; or another view begins, which gives null. */
function askForKey(isRefused, signal) {
  const input = element("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: "" });
  const later = element("button.link", { type: "button" }, t("not_now"));
  const label = isRefused ? t("key_invalid") : t("key_needed");
  const form = element("form.ask", element("label", { for: "key" }, label), input, element("button.button", t("continue")), later);
  say("");
  byId("results").hidden = true;
  byId("alert").replaceChildren(form);
  input.focus();
  return new Promise((resolve) => {
    const done = (typed) => {
      byId("alert").replaceChildren();
      resolve(typed);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      // No key has other characters, and no request could.
      done(input.value.replace(/[^!-~]/g, ""));
    };
    later.onclick = () => done("");
    signal.onabort = () => resolve(null);
  });
}
