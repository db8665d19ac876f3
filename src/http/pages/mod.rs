//! The pages that people look at.
//!
//! Each is one response, its style, script and texts within: usable after one round trip. The tracking page loads a second
//! script with its first answer. They know the API as any client does, and of the settings what is written into them.

mod documents;
mod identity;
mod served;
mod template;
mod texts;

pub use documents::PageSettings;
pub use served::ServedPages;
