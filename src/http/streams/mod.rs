//! Streams of changes as server-sent events (HTML Standard, section 9.2).
//!
//! A stream has neither task nor timer: its connection asks for the next part, and waits where there is none. At each
//! tick of the clock that all threads follow, the thread wakes the streams that a publication or a comment is due for.
//! After a publication they have turns, one after another, so that a thousand of them do not keep lookups waiting; what
//! one has rendered is there for all who read the same.

pub(crate) mod blocks;
mod events;
pub(crate) mod places;
pub(crate) mod stream;
pub(crate) mod turns;
