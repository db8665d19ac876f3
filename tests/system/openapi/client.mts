/** Asks a server through the types that openapi-typescript makes of the document; the server's URL is the argument. */
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.argv[2] });
const path = "/v1/shipments/{carrier}/{tracking_number}";

const found = await client.GET(path, { params: { path: { carrier: "dhl", tracking_number: "tn12345678" } } });
const shipment: components["schemas"]["Found"] | undefined = found.data;
// Where callers without a key see a limited view, there are no articles.
assert.ok(shipment && "articles" in shipment);
assert.deepEqual(shipment.articles.map((article) => article.SKU), ["LP123", "MO456"]);

const missing = await client.GET(path, { params: { path: { carrier: "dhl", tracking_number: "nowhere" } } });
assert.equal(missing.error?.code, "shipment_not_found");

const page = await client.GET("/v1/shipments", { params: { query: { carrier: ["DHL", "UPS"], limit: 1 } } });
assert.equal(page.data?.results.length, 1);
assert.ok(page.data?.next && page.data.previous === null);

const batch = await client.POST("/v1/lookup", {
  body: { lookups: [{ tracking_number: "TN12345678", carrier: "DHL" }, { tracking_number: "nowhere" }] },
});
assert.deepEqual(batch.data?.results.map((result) => result.shipments.length), [1, 0]);

const dataset = await client.GET("/v1/dataset");
assert.equal(found.response.headers.get("etag"), `"${dataset.data?.version}"`);
