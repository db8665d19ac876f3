//! What takes seconds rather than milliseconds: thousands of generated files, queries and races, held to the reference,
//! and ends under load. `just test` leaves it out; `cargo test` runs it.

mod agreement;
mod batch_bodies;
mod changing_files;
mod ending;
mod exports;
mod large_shipments;
mod malformed;
mod queries;
mod truncation;
