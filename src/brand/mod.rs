//! The brand of the pages: whose they are, what they look like and link to.

mod color;
mod definition;
mod file;
mod links;
mod logo;

pub use color::{Color, Palette};
pub use definition::{Brand, LANGUAGES, OwnTexts};
pub use file::{BRAND_BYTES_MAX, BrandError};
pub use logo::LOGO_BYTES_MAX;
