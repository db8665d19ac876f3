//! Commands, and the log.

pub mod check;
pub mod generate;
pub mod health;
pub mod key;
pub mod log;
pub mod serve;
