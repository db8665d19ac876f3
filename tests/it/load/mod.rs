//! Files: what is loaded of them, what is refused, and where errors are said to be.

mod agreement;
mod changing_files;
mod input;
mod malformed;
#[cfg(feature = "object-store")]
mod object;
mod refusals;
mod truncation;
