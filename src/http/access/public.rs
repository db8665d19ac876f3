//! Callers without a key: what they may ask for, what they see, and how often.

use super::rate::Rate;

/// What callers without a key may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Anonymous {
    /// Nothing.
    None,
    /// Lookups by path, small batches, and the version of the dataset.
    Lookup,
    /// Everything.
    #[default]
    All,
}

/// What callers without a key see of a shipment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PublicView {
    /// Everything.
    #[default]
    Full,
    /// Status and countries; with the postcode of the receiver, everything.
    Limited,
}

/// What callers without a key may ask for and see, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Public {
    /// What they may ask for.
    pub anonymous: Anonymous,
    /// What they see of a shipment.
    pub view: PublicView,
    /// Requests of each, if they are limited.
    pub rate: Option<Rate>,
}
