//! The process: commands and settings, start, signals, systemd.

mod audit;
mod check_advice;
mod cli;
mod config_file;
mod lifecycle;
mod reuse_port;
mod start;
mod systemd;
