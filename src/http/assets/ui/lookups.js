
// Many lookups at once.

/** Numbers that are looked up at once, and lookups that one request takes, with a key. */
const NUMBERS_MAX = 1000;
const LOOKUPS_MAX = 1000;

/** Lookups that one request takes. */
const lookupsMax = () => (key ? LOOKUPS_MAX : Number(form.dataset.keylessLookupsMax));

function askBatch(lookups, asking) {
  return ask("/v1/lookup", { ...asking, method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ lookups }) });
}

/** The readings that found something, with their shipments. `postcodes` are by folded numbers. */
async function lookUp(readings, carrier, asking, postcodes = new Map()) {
  const found = new Map();
  if (readings.length > lookupsMax()) await later();
  for (let at = 0; at < readings.length; ) {
    const taken = readings.slice(at, at + lookupsMax());
    const lookups = taken.map((tracking_number) => ({ tracking_number, carrier: carrier || null, postcode: postcodes.get(fold(tracking_number)) }));
    const { results } = await (askBatchInTime ?? askBatch)(lookups, asking);
    results.forEach(({ shipments }, number) => shipments.length && found.set(taken[number], shipments));
    at += taken.length;
  }
  return found;
}

/** A number that was typed in two ways is shown once. */
function once(numbers) {
  const seen = new Set();
  return numbers.filter(({ number }) => !seen.has(fold(number)) && seen.add(fold(number)));
}
