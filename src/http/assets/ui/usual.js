
// What a status says of the way of a parcel.

/** Stages of the most usual statuses, for the look of this page alone where the server has no map of them. */
const USUAL = {
  pre_transit: "announced,pre transit,label created,information received,angekündigt,aangemeld,annoncé",
  in_transit: "in transit,transit,scanned,inbound scan,shipped,picked up,on the way,customs,unterwegs,onderweg,en tránsito,in transito",
  out_for_delivery: "out for delivery,on vehicle,delivery,in zustellung,en cours de livraison,en reparto,in consegna",
  available_for_pickup: "available for pickup,ready for pickup,ready for collection,abholbereit",
  delivered: "delivered,zugestellt,livré,entregado,consegnato,bezorgd",
  attempt_failed: "delivery attempt,attempt failed,delivery failed,not delivered",
  returning: "return,returned,return to sender,retour,devuelto",
  exception: "exception,damaged,lost",
  cancelled: "cancelled,canceled",
};
const usualStage = (status) => Object.keys(USUAL).find((stage) => USUAL[stage].split(",").includes(fold(status).replace(/[-_]/g, " ")));
