//! The integration tests: of the library and of the real binary, by area; what is slow is in an area of its own. One
//! area or one file is run by its path:
//!
//! ```text
//! cargo test --test it reload::
//! cargo test --test it http::limits::
//! cargo test --test it -- --skip slow::
//! ```
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod documents;
mod http;
mod load;
mod process;
mod reference;
mod reload;
mod slow;
mod support;
