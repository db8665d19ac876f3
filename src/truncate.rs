//! Shortening texts of others for messages.

/// The first `chars_max` characters of `text`, and the ellipsis to put behind them where there are more.
pub(crate) fn truncate(text: &str, chars_max: usize) -> (&str, &'static str) {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_and_none_is_cut() {
        assert_eq!(truncate("éé", 2), ("éé", ""));
        assert_eq!(truncate("ééa", 2), ("éé", "…"));
        assert_eq!(truncate("", 0), ("", ""));
    }
}
