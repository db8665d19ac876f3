//! What a request is: its route, its parameters, its body, and who sent it.

pub mod auth;
pub mod cors;
pub mod forwarded;
pub(crate) mod json_body;
pub(crate) mod query;
pub mod route;
pub(crate) mod validate;
