//! Reading a request: its route, parameters and body, its credentials, its client, its ids.

pub(crate) mod accept;
pub(crate) mod correlation;
pub mod cors;
pub(crate) mod fields;
pub mod forwarded;
pub(crate) mod json_body;
pub(crate) mod language;
pub(crate) mod percent;
pub(crate) mod query;
pub mod route;
pub(crate) mod validate;
