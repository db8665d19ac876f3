"""Asks a server through the client that openapi-python-client makes of the document; the server's URL is the argument."""

import sys

from waybill_client import Client
from waybill_client.api.dataset import get_dataset
from waybill_client.api.lookups import get_shipment, get_shipments_with_number, look_up_shipments
from waybill_client.api.search import count_shipments, list_shipments
from waybill_client.models import Batch, BatchResults, Code, Dataset, Facets, Lookup, NotFound, Page, Shipment, ShipmentsWithNumber

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)

shipment = get_shipment.sync("dhl", "tn12345678", client=client)
assert isinstance(shipment, Shipment), shipment
assert (shipment.tracking_number, [article.sku for article in shipment.articles]) == ("TN12345678", ["LP123", "MO456"])

missing = get_shipment.sync("dhl", "nowhere", client=client)
assert isinstance(missing, NotFound) and missing.code == Code.SHIPMENT_NOT_FOUND, missing

response = get_shipment.sync_detailed("dhl", "tn12345678", client=client)
known = get_shipment.sync_detailed("dhl", "tn12345678", client=client, if_none_match=response.headers["etag"])
assert (response.status_code, known.status_code, known.parsed) == (200, 304, None)

by_number = get_shipments_with_number.sync("TN12345679", client=client)
assert isinstance(by_number, ShipmentsWithNumber) and by_number.count == 1, by_number

page = list_shipments.sync(client=client, carrier=["DHL", "UPS"], limit=1)
assert isinstance(page, Page) and len(page.results) == 1 and page.next_ and page.previous is None, page

facets = count_shipments.sync(client=client)
assert isinstance(facets, Facets) and facets.facets.carrier, facets

batch = look_up_shipments.sync(client=client, body=Batch(lookups=[Lookup("TN12345678", "DHL"), Lookup("nowhere")]))
assert isinstance(batch, BatchResults) and [len(result.shipments) for result in batch.results] == [1, 0], batch

dataset = get_dataset.sync(client=client)
assert isinstance(dataset, Dataset) and response.headers["etag"] == f'"{dataset.version}"', dataset
