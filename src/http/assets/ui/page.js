"use strict";
// What both pages need. No text of the data or of the server ever becomes markup.

const PATIENCE_MS = 20000;
const AGE_EVERY_MS = 30000;

const byId = (id) => document.getElementById(id);

/** The language of the page, the texts in it, and the language that its reader chose, if that is how it came to be. */
const LANGUAGE = document.documentElement.lang;
const TEXTS = Object.assign({}, ...JSON.parse(byId("texts").textContent));
const chosenLanguage = new URLSearchParams(location.search).get("lang");
const plurals = new Intl.PluralRules(LANGUAGE);
const numeral = (number) => number.toLocaleString(LANGUAGE);

/** A text in pieces, its places `{name}` filled: by numbers as the reader writes them, or by elements. Of several forms it is that for `n`. */
function pieces(key, values = {}) {
  const text = TEXTS[key];
  const form = text.other ? text[plurals.select(values.n)] || text.other : text;
  const value = (name) => (typeof values[name] === "number" ? numeral(values[name]) : values[name]);
  return form.split(/\{(\w+)\}/).map((piece, at) => (at % 2 ? value(piece) : piece));
}

const t = (key, values) => pieces(key, values).join("");

/** Parameters of an address of this site, which lead to the same language. */
function inLanguage(parameters) {
  if (chosenLanguage) parameters.set("lang", chosenLanguage);
  return parameters;
}

/** Lets the links to other languages lead to this view, and those to other pages to this language. */
function linkLanguages() {
  for (const link of document.querySelectorAll("[hreflang]")) {
    const parameters = new URLSearchParams(location.search);
    parameters.set("lang", link.hreflang);
    link.href = `?${parameters}${location.hash}`;
    link.onclick = (event) => event.stopPropagation();
  }
  if (chosenLanguage) document.querySelectorAll(".bar a").forEach((link) => (link.search = inLanguage(new URLSearchParams())));
}

/** An element, named as in a selector: `p.quiet`. Texts among its children become text, objects its attributes. */
function element(selector, ...children) {
  const [name, ...classes] = selector.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  for (const child of children) {
    if (child?.constructor === Object) Object.entries(child).forEach((attribute) => made.setAttribute(...attribute));
    else if (child != null) made.append(child);
  }
  return made;
}

/** A text of the data: its writing direction stays its own, and what is empty is said to be. */
function datum(text, empty, name = "span", attributes = {}) {
  if (text.trim() === "") return element(name, { ...attributes, class: "quiet" }, empty);
  return element(name, { ...attributes, dir: "auto" }, text);
}

/** Street above town and country, which say most. */
function linesOfAddress(address) {
  const cut = address.lastIndexOf(",", address.lastIndexOf(",") - 1) + 1;
  if (!cut) return [datum(address, t("not_given"))];
  return [datum(address.slice(0, cut), ""), " ", datum(address.slice(cut).trimStart(), "")];
}

/**
 * JSON with each number as the text of its digits: prices may have 18, and JSON.parse would round them. A text or a
 * number is the longest thing that starts here, so digits in texts are passed over.
 */
function readJson(text) {
  return JSON.parse(text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, (token) => (token[0] === '"' ? token : `"${token}"`)));
}

/** What went wrong, in words for people. */
class Failure extends Error {}

/** Too many requests, or too many wrong postcodes, for a time. */
class TooMany extends Failure {
  constructor(seconds) {
    const [value, unit] = seconds < 90 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
    super(t("wait", { time: value.toLocaleString(LANGUAGE, { style: "unit", unit, unitDisplay: "long" }) }));
    this.seconds = seconds;
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Where this tab keeps the key that it shows to servers that want one. Browsers may forbid it. */
const KEY = "waybill-key";
let key = null;
let keyDeclined = false;
try {
  key = sessionStorage.getItem(KEY);
} catch {}

/** Whether there is another key to try than the one that was refused; people are asked once for all who were refused. */
let keyForm = null;
function renewKey(refused, signal) {
  if (key !== refused || keyDeclined) return key !== refused;
  keyForm ??= keyTyped(refused !== null, signal).finally(() => (keyForm = null));
  return keyForm;
}

async function keyTyped(isRefused, signal) {
  await later();
  const typed = await askForKey(isRefused, signal);
  if (typed !== null) keyDeclined = !typed;
  if (typed) keep(typed);
  return Boolean(typed);
}

const keyHeader = () => key && { "X-API-Key": key };

function keep(typed) {
  key = typed;
  try {
    sessionStorage.setItem(KEY, key);
  } catch {}
}

/** Asks the API. While the server loads its data (503) it says so by `onLoading` and asks again. Throws a Failure. */
async function ask(path, { onLoading, ...request }) {
  for (;;) {
    const late = pause(PATIENCE_MS).then(() => Promise.reject(new Error("late")));
    const shown = key;
    const headers = { ...request.headers, ...keyHeader() };
    const answering = fetch(path, { ...request, headers }).then(async (answer) => [answer, await answer.text()]);
    const [answer, text] = await Promise.race([answering, late]).catch(() => {
      throw new Failure(t("unreachable"));
    });
    if (answer.ok) return readJson(text);
    if (answer.status === 401 && (await renewKey(shown, request.signal))) continue;
    if (request.signal.aborted) throw new Failure("");
    if (answer.status === 429) throw new TooMany(Number(answer.headers.get("Retry-After")) || 1);
    if (answer.status !== 503) throw Object.assign(new Failure(t("refused", { detail: detailOf(text) || String(answer.status) })), { status: answer.status });
    onLoading();
    await pause(1000 * (Number(answer.headers.get("Retry-After")) || 1));
    if (request.signal.aborted) throw new Failure("");
  }
}

/** Never from the browser's memory: data that is written again unchanged is younger, under the same tag. */
const askDataset = ({ signal }) => ask("/v1/dataset", { signal, cache: "no-store", onLoading() {} });

function detailOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return "";
  }
}

/** Runs one view at a time: a newer one ends the one before. `show` gets what `ask` needs; failures are shown. */
let view = new AbortController();
const viewSignal = () => view.signal;
async function run(show) {
  view.abort();
  keyDeclined = false;
  const { signal } = (view = new AbortController());
  const onLoading = () => signal.aborted || say(t("loading"));
  alarm("");
  linkLanguages();
  byId("results").classList.add("busy");
  try {
    await show({ signal, onLoading });
  } catch (failure) {
    if (signal.aborted) return;
    if (!(failure instanceof Failure)) throw failure;
    say("");
    byId("results").hidden = true;
    alarm(failure.message, () => run(show));
  } finally {
    if (!signal.aborted) byId("results").classList.remove("busy");
  }
}

/** What is going on, read out by screen readers; `aloud` for them alone. */
function say(text, aloud = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("off-screen", aloud);
}

/** What went wrong, with a way to try again. */
function alarm(text, retry) {
  const box = byId("alert");
  box.replaceChildren();
  if (text) {
    box.append(element("p", text));
    box.scrollIntoView({ block: "nearest" });
  }
  if (!retry) return;
  const button = element("button.link", { type: "button" }, t("try_again"));
  button.onclick = retry;
  box.append(button);
}

/** Says when the served data was written, whenever it was loaded, and whether that is longer ago than it may be. */
function showAge({ modified_at }) {
  const box = byId("age");
  clearInterval(showAge.timer);
  box.replaceChildren();
  if (!modified_at) return;
  const written = new Date(modified_at);
  const most = Number(box.dataset.max) || Infinity;
  const time = element("time", { datetime: modified_at, title: written.toLocaleString(LANGUAGE) });
  const stale = element("strong", ` ${t("out_of_date")}`);
  box.append(...pieces("data_from", { time }), stale);
  const tick = () => {
    const seconds = (Date.now() - written) / 1000;
    time.textContent = ago(seconds);
    stale.hidden = seconds <= most;
  };
  showAge.timer = setInterval(tick, AGE_EVERY_MS);
  tick();
}

function ago(seconds) {
  if (seconds < 60) return t("under_a_minute");
  const [unit, length] = seconds < 3600 ? ["minute", 60] : seconds < 86400 ? ["hour", 3600] : ["day", 86400];
  return new Intl.RelativeTimeFormat(LANGUAGE).format(-Math.floor(seconds / length), unit);
}

const fold = (text) => text.trim().toLowerCase();
/** Without what people paste along: blanks, dashes, invisible marks. */
const bare = (text) => text.replace(/[\s\p{Pd}\p{Cf}\u2212]/gu, "");
/** `1 shipment`, `1,200 shipments` */
const counted = (count, noun) => `${Number(count).toLocaleString("en")} ${noun}${Number(count) === 1 ? "" : "s"}`;
