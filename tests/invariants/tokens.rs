//! Rust texts as names and signs.

/// A name, a sign, or a literal text with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    /// From 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    pub(crate) fn is_name(self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// The tokens of a text, without comments and character literals.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let raw = rest.trim_start_matches('b').strip_prefix('r').unwrap_or_default();
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let after = |text: &str, from: usize| rest[from..].find(text).map_or(rest.len(), |at| from + at + text.len());
        let (length, is_token) = if rest.starts_with("//") {
            (after("\n", 2), false)
        } else if rest.starts_with("/*") {
            (after("*/", 2), false)
        } else if raw[hashes..].starts_with('"') {
            (after(&format!("\"{}", "#".repeat(hashes)), rest.len() - raw.len() + hashes + 1), true)
        } else if first == '"' {
            (quoted_length(rest), true)
        } else if first == '\'' {
            (character_length(rest), false)
        } else if name > 0 {
            (name, true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (token, after) = rest.split_at(length);
        if is_token {
            tokens.push(Token { text: token, line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of a literal that starts with a quote, both quotes included.
fn quoted_length(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// The length of a character literal; of a lifetime only the sign.
fn character_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((at, _))) => rest[at + 1..].find('\'').map_or(rest.len(), |end| at + 1 + end + 1),
        (_, Some((at, '\''))) => at + 1,
        _ => 1,
    }
}
