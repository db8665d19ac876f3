//! Telemetry: counters and the access log.

pub mod access_log;
pub(crate) mod counters;
