//! Templates: HTML with places such as `{{name}}`.

use super::texts::Texts;

/// `template` with each place filled by what `value` says for its name. What is filled in has no places; one without a
/// value stays as it is.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = template.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let place = part.split_once("}}").and_then(|(name, rest)| Some((value(name)?, rest)));
        match place {
            Some((value, rest)) => filled.extend([&*value, rest]),
            None => filled.extend(["{{", part]),
        }
    }
    filled
}

/// A text as it stands in HTML, between tags or in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// What begins a line of a template that only those see who may use the pages that it links to.
const FOR_ALL: &str = "{{for-all}}";

/// `html` without indentation, and without the lines for callers who may do all, or without the mark of these lines.
pub(super) fn linked(html: &str, with_links: bool) -> String {
    let lines = html.lines().filter(|line| with_links || !line.trim_start().starts_with(FOR_ALL));
    lines.flat_map(|line| [line.trim_start(), "\n"]).collect::<String>().replace(FOR_ALL, "")
}

/// The text in a place such as `text:key` or `text:key name=value`, whose own place `{name}` is filled.
pub(super) fn text(texts: &Texts, section: &str, place: &str) -> Option<String> {
    let mut words = place.strip_prefix("text:")?.split(' ');
    let text = escaped(texts.text(section, words.next()?)?);
    Some(
        words
            .filter_map(|word| word.split_once('='))
            .fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let value = |name: &str| match name {
            "a" => Some("{{b}}".to_owned()),
            "b" => Some("B".to_owned()),
            _ => None,
        };
        assert_eq!(fill("{{a}}-{{b}}{{b}} {{c}} {{ {b}} }}", value), "{{b}}-BB {{c}} {{ {b}} }}");
        assert_eq!(fill("", value), "");
    }

    #[test]
    fn a_text_is_no_markup() {
        assert_eq!(escaped(r#"<b a="1" c='2'>&é</b>"#), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;é&lt;/b&gt;");
    }
}
