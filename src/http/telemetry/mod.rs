//! What operators see of requests: counters and the access log.

pub mod access_log;
pub(crate) mod counters;
