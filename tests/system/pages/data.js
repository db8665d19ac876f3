// The export that the pages are tried with: a few shipments with a name, hostile ones, and a crowd to page through.

const HEADER = "tracking_number,carrier,sender_address,receiver_address,article_name,article_quantity,article_price,SKU,status";

/** Runs if it ever becomes markup: it sets `window.ran` and asks for an image. */
export const SCRIPT = `<script>window.ran=1</script>`;
export const IMAGE = `"><img src=/ran onerror="window.ran=1">`;
export const RIGHT_TO_LEFT = "\u202Egnp.exe\u202C שלום \u200F";
export const LONG = "Donaudampfschifffahrtsgesellschaftskapitän".repeat(6);

export const CROWD = 130;
const CITIES = ["10115 Berlin, Germany", "20144 Hamburg, Germany", "75001 Paris, France", "21000 Novi Sad, Serbia", "1050 Brussels, Belgium"];
const STATUSES = ["in-transit", "delivered", "scanned"];
const CARRIERS = ["DHL", "UPS"];

const rows = [
  ["TN12345678", "DHL", "Street 1, 10115 Berlin, Germany", "Street 10, 75001 Paris, France", "Laptop", 1, "800", "LP123", "in-transit"],
  ["TN12345678", "DHL", "Street 1, 10115 Berlin, Germany", "Street 10, 75001 Paris, France", "Mouse", 3, "19.90", "MO456", "in-transit"],
  // One number of two carriers.
  ["SHARED-1", "DPD", "Street 3, 80331 Munich, Germany", "Street 5, 28013 Madrid, Spain", "Keyboard", 1, "50", "KB012", "delivery"],
  ["SHARED-1", "FedEx", "Street 4, 50667 Cologne, Germany", "Street 9, 1016 Amsterdam, Netherlands", "Headphones", 1, "100", "HP678", "transit"],
  // Printed in groups, kept without.
  ["00340434161094938", "GLS", "Street 5, 70173 Stuttgart, Germany", "Street 15, 1050 Copenhagen, Denmark", "Smartphone", 1, "500", "SP901", "scanned"],
  // Kept with its blanks, a comma and a dash.
  ["RR 12, 34-5", "GLS", "", "somewhere", "", 2, "0.5", "", ""],
  // Neither a binary float nor its sum would keep these digits.
  ["EXACT", "UPS", "Street 2, 20144 Hamburg, Germany", "Street 20, 1000 Brussels, Belgium", "Gold", 4294967295, "999999999999999.999", "AU", "inbound-scan"],
  ["EXACT", "UPS", "Street 2, 20144 Hamburg, Germany", "Street 20, 1000 Brussels, Belgium", "Dust", 1, "0.00000000000000001", "DU", "inbound-scan"],
  ["EXACT", "UPS", "Street 2, 20144 Hamburg, Germany", "Street 20, 1000 Brussels, Belgium", "Dime", 3, "0.10", "DI", "inbound-scan"],
  ["HOSTILE", SCRIPT, `${IMAGE}, 10115 Town ${SCRIPT}, ${IMAGE}`, RIGHT_TO_LEFT, SCRIPT, 1, "1", IMAGE, `${IMAGE}'"&amp;`],
  ["HOSTILE", "Läuferin 📦", LONG, `'"quotes"' \\ "price":1, 2 ${LONG}`, `{"price":7} "price":12.50 🎁`, 2, "12.50", `"price": 5`, RIGHT_TO_LEFT],
  [`${IMAGE}`, "DPD", "a", "b", LONG, 1, "1", LONG, LONG],
];
for (let number = 0; number < CROWD; number++) {
  const [from, to] = [CITIES[number % 5], CITIES[(number * 3 + 1) % 5]];
  rows.push([`CROWD${1000 + number}`, CARRIERS[number % 2], `Street ${number}, ${from}`, `Road ${number}, ${to}`, "Book", 1, "12.00", `BK${number}`, STATUSES[number % 3]]);
}
// More cities than a facet shows at first.
for (let number = 0; number < 12; number++) {
  rows.push([`TOWN${number}`, "GLS", `Lane 1, 1000 Town ${number}, Norway`, "Lane 2, 75001 Paris, France", "Book", 1, "12.00", "BK", "scanned"]);
}

const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
export const CSV = [HEADER, ...rows.map((row) => row.map(quoted).join(","))].join("\n") + "\n";
export const SHIPMENTS = new Set(rows.map(([number, carrier]) => JSON.stringify([number, carrier]))).size;
