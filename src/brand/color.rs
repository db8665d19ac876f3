//! Colours of a brand: read, derived, and checked to be readable.

use std::fmt;

/// Least contrast of text to what is behind it (WCAG 2.2, success criterion 1.4.3).
pub(super) const CONTRAST_MIN: f64 = 4.5;
/// Contrast of accents that are derived: enough on all backgrounds, and not so much that the colour is lost.
const CONTRAST_OF_ACCENT: f64 = 5.5;
/// Contrast of text on areas that are derived.
const CONTRAST_OF_TEXT: f64 = 7.0;
/// Part by which a derived colour is moved until it has that.
const STEP: f64 = 0.04;

/// A colour of the sRGB space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(u8, u8, u8);

const WHITE: Color = Color(255, 255, 255);
const BLACK: Color = Color(0, 0, 0);

/// What is behind links, of all backgrounds of the pages the one that has least contrast to an accent: in light and dark.
/// They are `--paper` and `--surface` in `bar.css`.
pub(super) const LIGHT_BACKGROUND: Color = Color(0xf5, 0xf3, 0xee);
pub(super) const DARK_BACKGROUND: Color = Color(0x1c, 0x21, 0x24);

/// The colours of the pages that follow from one accent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Links and buttons.
    pub accent: Color,
    /// The same under the pointer.
    pub strong: Color,
    /// Text on the accent.
    pub on_accent: Color,
    /// Areas that stand out a little.
    pub tint: Color,
    /// Text on these.
    pub on_tint: Color,
}

impl Palette {
    /// The colours on light pages.
    pub(super) fn light(accent: Color) -> Palette {
        let tint = accent.mixed(WHITE, 0.88);
        Palette {
            accent,
            strong: accent.mixed(BLACK, 0.25),
            on_accent: accent.text_on(),
            tint,
            on_tint: accent.moved(BLACK, tint, CONTRAST_OF_TEXT),
        }
    }

    /// The colours on dark pages.
    pub(super) fn dark(accent: Color) -> Palette {
        let tint = accent.mixed(DARK_BACKGROUND, 0.8);
        Palette {
            accent,
            strong: accent.mixed(WHITE, 0.35),
            on_accent: accent.text_on(),
            tint,
            on_tint: accent.moved(WHITE, tint, CONTRAST_OF_TEXT),
        }
    }
}

impl Color {
    /// Reads `#rgb` or `#rrggbb`.
    pub(super) fn parse(text: &str) -> Option<Color> {
        let digits: Option<Vec<u8>> =
            text.strip_prefix('#')?.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect();
        match digits?[..] {
            [r, g, b] => Some(Color(r * 17, g * 17, b * 17)),
            [r1, r2, g1, g2, b1, b2] => Some(Color(r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2)),
            _ => None,
        }
    }

    /// The accent of dark pages that belongs to that of light ones.
    pub(super) fn lightened(self) -> Color {
        self.moved(WHITE, DARK_BACKGROUND, CONTRAST_OF_ACCENT)
    }

    /// Contrast to another, from 1 to 21 (WCAG 2.2, "contrast ratio").
    pub(super) fn contrast(self, other: Color) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }

    /// White or black, whichever can be read on it. One of them always can.
    fn text_on(self) -> Color {
        if self.contrast(WHITE) >= CONTRAST_MIN { WHITE } else { BLACK }
    }

    /// The colour with so much of `other` in it.
    fn mixed(self, other: Color, part: f64) -> Color {
        // Between 0 and 255, as both are.
        #[allow(clippy::cast_sign_loss)]
        let mix = |one: u8, other: u8| (f64::from(one) * (1.0 - part) + f64::from(other) * part).round() as u8;
        Color(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// The colour, moved towards `end` until it has this contrast to `background`, or is `end`.
    fn moved(self, end: Color, background: Color, contrast: f64) -> Color {
        let mut color = self;
        while color.contrast(background) < contrast && color != end {
            let next = color.mixed(end, STEP);
            color = if next == color { end } else { next };
        }
        color
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_colour_is_three_or_six_digits() {
        for (text, expected) in
            [("#abc", Some("#aabbcc")), ("#0E5e4e", Some("#0e5e4e")), ("red", None), ("#12", None), ("#12345g", None)]
        {
            assert_eq!(Color::parse(text).map(|color| color.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn contrasts_are_those_of_the_recommendation() {
        let of = |one, other| Color::parse(one).unwrap().contrast(Color::parse(other).unwrap());
        for (one, other, expected) in
            [("#000", "#fff", 21.0), ("#777", "#fff", 4.48), ("#767676", "#fff", 4.54), ("#0e5e4e", "#f5f3ee", 6.94)]
        {
            assert!((of(one, other) - expected).abs() < 0.02, "{one} {other}: {}", of(one, other));
        }
    }

    #[test]
    fn the_backgrounds_are_those_of_the_pages() {
        let css = include_str!("../http/assets/ui/bar.css");
        let (light, dark) = css.split_once("@media").unwrap();
        assert!(light.contains(&format!("--paper: {LIGHT_BACKGROUND};")));
        assert!(dark.contains(&format!("--surface: {DARK_BACKGROUND};")));
    }

    proptest! {
        #[test]
        fn everything_that_is_derived_can_be_read(r: u8, g: u8, b: u8) {
            let accent = Color(r, g, b);
            let dark = if accent.contrast(DARK_BACKGROUND) < CONTRAST_MIN { accent.lightened() } else { accent };
            prop_assert!(dark.contrast(DARK_BACKGROUND) >= CONTRAST_MIN);
            for palette in [Palette::light(accent), Palette::dark(dark)] {
                prop_assert!(palette.on_accent.contrast(palette.accent) >= CONTRAST_MIN);
                prop_assert!(palette.on_tint.contrast(palette.tint) >= CONTRAST_MIN);
            }
        }
    }
}
