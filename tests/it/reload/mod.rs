//! Reloads: what triggers one, what refuses one, the way back.

mod guards;
mod reloads;
mod rollback;
mod triggers;
mod watch;
