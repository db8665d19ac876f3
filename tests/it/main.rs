//! The integration tests: of the library and of the real binary, by area. One area or one file is run by its path:
//!
//! ```text
//! cargo test --test it reload::
//! cargo test --test it http::limits::
//! ```
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod documents;
mod http;
mod load;
mod process;
mod reference;
mod reload;
mod support;
