//! The stages.

/// Stage of a shipment. More may be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The carrier knows of the parcel and does not have it yet.
    PreTransit,
    /// The carrier has the parcel.
    InTransit,
    /// The parcel is on the vehicle that delivers it.
    OutForDelivery,
    /// The parcel waits to be fetched.
    AvailableForPickup,
    /// The receiver, or somebody for them, has the parcel.
    Delivered,
    /// The carrier has tried to deliver the parcel, and nobody took it.
    AttemptFailed,
    /// The parcel goes back to the sender, or is there.
    Returning,
    /// Something else holds the parcel up: it is damaged, lost, or stopped.
    Exception,
    /// The shipment was called off.
    Cancelled,
    /// The status does not say, or nobody knows what it says.
    #[default]
    Unknown,
}

impl Stage {
    /// All stages, in the order of the documentation.
    pub const ALL: [Stage; 10] = [
        Stage::PreTransit,
        Stage::InTransit,
        Stage::OutForDelivery,
        Stage::AvailableForPickup,
        Stage::Delivered,
        Stage::AttemptFailed,
        Stage::Returning,
        Stage::Exception,
        Stage::Cancelled,
        Stage::Unknown,
    ];

    /// Name in responses, filters and status maps.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::PreTransit => "pre_transit",
            Stage::InTransit => "in_transit",
            Stage::OutForDelivery => "out_for_delivery",
            Stage::AvailableForPickup => "available_for_pickup",
            Stage::Delivered => "delivered",
            Stage::AttemptFailed => "attempt_failed",
            Stage::Returning => "returning",
            Stage::Exception => "exception",
            Stage::Cancelled => "cancelled",
            Stage::Unknown => "unknown",
        }
    }

    /// Finds the stage of this name.
    pub fn from_name(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.name() == name)
    }
}
