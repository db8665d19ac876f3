//! Words that people have in place of the columns' names, likeliest first.

use crate::shipment::Column;

/// Short forms of parts of names.
pub(super) const SHORT_FORMS: [(&str, &[&str]); 8] = [
    ("number", &["no", "nr", "num", "nbr", "nro"]),
    ("nummer", &["nr", "no", "num"]),
    ("numero", &["n", "no", "nr", "nro", "num"]),
    ("quantity", &["qty", "qnty", "quant"]),
    ("address", &["addr", "adr"]),
    ("adresse", &["adr"]),
    ("direccion", &["dir"]),
    ("description", &["desc", "descr"]),
];

/// Currencies that names of prices end with.
pub(super) const CURRENCIES: [&str; 6] = ["eur", "euro", "usd", "gbp", "chf", "pln"];

/// Names for `column`, in English, German, French, Spanish and some Italian and Dutch, without accents.
pub(super) fn of(column: Column) -> &'static [&'static str] {
    match column {
        Column::TrackingNumber => TRACKING_NUMBER,
        Column::Carrier => CARRIER,
        Column::SenderAddress => SENDER_ADDRESS,
        Column::ReceiverAddress => RECEIVER_ADDRESS,
        Column::ArticleName => ARTICLE_NAME,
        Column::ArticleQuantity => ARTICLE_QUANTITY,
        Column::ArticlePrice => ARTICLE_PRICE,
        Column::Sku => SKU,
        Column::Status => STATUS,
    }
}

#[rustfmt::skip]
const TRACKING_NUMBER: &[&str] = &[
    "tracking number", "tracking id", "tracking code", "tracking", "track number", "track id", "tracking reference",
    "waybill number", "air waybill number", "awb number", "awb", "waybill", "consignment number", "consignment id",
    "parcel number", "parcel id", "package number", "package id", "shipment number", "shipment id", "shipping number",
    "delivery number", "barcode",
    "sendungsnummer", "sendungsverfolgungsnummer", "tracking nummer", "paketnummer", "sendungs id", "sendungscode",
    "frachtbriefnummer", "paket id", "lieferscheinnummer",
    "numero de suivi", "numero suivi", "code de suivi", "suivi", "numero de colis", "numero colis",
    "numero d expedition", "numero de bordereau",
    "numero de seguimiento", "numero seguimiento", "codigo de seguimiento", "seguimiento", "numero de envio",
    "numero envio", "numero de guia", "guia",
    "numero di tracciamento", "numero di spedizione", "codice di spedizione", "zendingnummer", "pakketnummer",
];

#[rustfmt::skip]
const CARRIER: &[&str] = &[
    "carrier", "carrier name", "carrier code", "courier", "courier name", "shipping carrier", "shipping company",
    "delivery company", "delivery service", "delivery partner", "transport company", "logistics provider", "parcel service",
    "shipping provider", "transporter", "haulier", "forwarder", "shipping method",
    "frachtfuhrer", "paketdienst", "versanddienstleister", "spediteur", "spedition", "zusteller", "lieferdienst",
    "versanddienst", "transportunternehmen", "versandart", "dienstleister",
    "transporteur", "nom du transporteur", "prestataire", "livreur",
    "transportista", "empresa de transporte", "agencia de transporte", "mensajeria",
    "corriere", "vettore", "vervoerder",
];

#[rustfmt::skip]
const SENDER_ADDRESS: &[&str] = &[
    "sender address", "sender", "from address", "ship from address", "ship from", "origin address", "shipper address",
    "consignor address", "pickup address", "return address", "address from", "address sender", "shipper", "consignor",
    "origin", "from",
    "absenderadresse", "absenderanschrift", "absender adresse", "adresse absender", "anschrift absender", "absender",
    "versenderadresse", "versender", "abholadresse", "von", "herkunft",
    "adresse de l expediteur", "adresse expediteur", "adresse d expedition", "adresse de depart", "expediteur", "origine",
    "direccion del remitente", "direccion remitente", "direccion de origen", "direccion de recogida", "remitente", "origen",
    "indirizzo mittente", "indirizzo del mittente", "mittente", "afzenderadres", "afzender",
];

#[rustfmt::skip]
const RECEIVER_ADDRESS: &[&str] = &[
    "receiver address", "receiver", "recipient address", "recipient", "delivery address", "ship to address", "ship to",
    "destination address", "shipping address", "consignee address", "customer address", "to address", "address to",
    "address receiver", "address recipient", "consignee", "deliver to", "destination", "to",
    "empfangeradresse", "empfangeranschrift", "empfanger adresse", "adresse empfanger", "anschrift empfanger", "empfanger",
    "lieferadresse", "lieferanschrift", "zieladresse", "zustelladresse", "kundenadresse", "nach", "an", "ziel",
    "adresse du destinataire", "adresse destinataire", "adresse de livraison", "adresse livraison", "destinataire",
    "direccion del destinatario", "direccion destinatario", "direccion de entrega", "direccion de destino",
    "direccion de envio", "destinatario", "destino",
    "indirizzo destinatario", "indirizzo del destinatario", "indirizzo di consegna", "ontvangeradres", "ontvanger",
];

#[rustfmt::skip]
const ARTICLE_NAME: &[&str] = &[
    "article name", "article", "item name", "product name", "item", "product", "article description", "item description",
    "product description", "goods description", "article title", "item title", "product title", "description", "goods",
    "contents", "content", "title", "name",
    "artikelname", "artikelbezeichnung", "artikelbeschreibung", "artikel", "produktname", "produktbezeichnung", "produkt",
    "warenbezeichnung", "bezeichnung", "ware", "beschreibung", "inhalt",
    "nom de l article", "nom article", "nom du produit", "nom produit", "designation article", "designation", "libelle",
    "produit",
    "nombre del articulo", "nombre articulo", "nombre del producto", "nombre producto", "articulo", "producto",
    "descripcion", "nombre",
    "nome articolo", "articolo", "prodotto", "descrizione", "omschrijving",
];

#[rustfmt::skip]
const ARTICLE_QUANTITY: &[&str] = &[
    "article quantity", "quantity", "item quantity", "product quantity", "order quantity", "quantity ordered",
    "quantity shipped", "article count", "item count", "number of items", "pieces", "pcs", "units", "count",
    "menge", "artikelmenge", "anzahl", "artikelanzahl", "stuckzahl", "stuck",
    "quantite", "quantite article", "quantite commandee", "qte", "nombre d articles",
    "cantidad", "cantidad articulo", "cantidad de articulos", "cant", "unidades",
    "quantita", "aantal", "hoeveelheid",
];

#[rustfmt::skip]
const ARTICLE_PRICE: &[&str] = &[
    "article price", "unit price", "price per unit", "price per item", "item price", "product price", "price each", "price",
    "unit cost", "item value", "unit value", "cost", "value", "amount",
    "artikelpreis", "einzelpreis", "stuckpreis", "preis pro stuck", "preis je stuck", "verkaufspreis", "preis", "betrag",
    "prix unitaire", "prix de l article", "prix article", "prix du produit", "prix", "montant",
    "precio unitario", "precio del articulo", "precio articulo", "precio por unidad", "precio", "importe",
    "prezzo unitario", "prezzo", "stukprijs", "prijs",
];

#[rustfmt::skip]
const SKU: &[&str] = &[
    "sku", "sku number", "sku code", "article sku", "item sku", "product sku", "stock keeping unit", "stock code",
    "article number", "item number", "product number", "part number", "material number", "article code", "item code",
    "product code", "article id", "item id", "product id", "ean", "gtin", "upc",
    "artikelnummer", "produktnummer", "materialnummer", "bestellnummer", "teilenummer", "artikelcode", "artikel id",
    "reference article", "reference produit", "code article", "code produit", "reference", "ref",
    "referencia", "referencia articulo", "codigo de articulo", "codigo articulo", "codigo de producto", "codigo producto",
    "codice articolo", "codice prodotto", "artikelnummer leverancier",
];

#[rustfmt::skip]
const STATUS: &[&str] = &[
    "status", "shipment status", "delivery status", "shipping status", "tracking status", "parcel status",
    "package status", "current status", "status text", "order status", "state", "stage",
    "sendungsstatus", "lieferstatus", "versandstatus", "paketstatus", "zustellstatus", "zustand",
    "statut", "statut de livraison", "statut livraison", "statut du colis", "statut colis", "etat de livraison", "etat",
    "estado", "estado del envio", "estado envio", "estado de entrega", "estatus", "situacion",
    "stato", "stato spedizione", "zendingstatus",
];
