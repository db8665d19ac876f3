//! The process: commands and settings, start, signals, end, systemd.

mod cli;
mod config_file;
mod ending;
mod lifecycle;
mod systemd;
