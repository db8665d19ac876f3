//! Files: what is loaded of them, what is refused, and where errors are said to be.

mod input;
#[cfg(feature = "object-store")]
mod object;
mod refusals;
mod shared_numbers;
