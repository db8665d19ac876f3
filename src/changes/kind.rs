//! Kinds of changes.

/// Kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The shipment came.
    Added,
    /// The shipment was there and renders differently.
    Changed,
    /// The shipment went.
    Removed,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 3] = [Kind::Added, Kind::Changed, Kind::Removed];

    /// Name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Removed => "removed",
        }
    }
}
