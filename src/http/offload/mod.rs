//! Work that would keep the other requests of a worker waiting: it is done on blocking threads, a few at a time.

pub(crate) mod large_body;
pub(crate) mod pace;
mod queue;
pub(crate) mod threads;
