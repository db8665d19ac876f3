//! Telemetry: counters, the access log and the audit trail.

pub mod access_log;
pub mod audit;
pub(crate) mod counters;
