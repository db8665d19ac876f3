//! Reloads: what triggers one, what refuses one, the way back.

mod age;
#[cfg(feature = "object-store")]
mod cancel;
mod changes;
mod guards;
mod reloads;
mod rollback;
mod triggers;
mod watch;
