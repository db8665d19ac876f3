//! The commands, and the log that people see of them.

pub mod check;
pub mod generate;
pub mod health;
pub mod log;
pub mod serve;
