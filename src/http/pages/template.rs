//! Templates: HTML with places such as `{{name}}`.

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
