//! The texts of the pages, in each language: one file per language, with one section per use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::http::request::language::Language;

/// A text with places such as `{n}`; in several forms where a number decides which is right.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Text {
    One(String),
    /// By plural category (Unicode CLDR), as `Intl.PluralRules` names them.
    Plural(BTreeMap<String, String>),
}

/// The texts of one use, by their keys.
type Section = BTreeMap<String, Text>;

/// The section of what all pages have.
const COMMON: &str = "page";

/// What begins the line of a script that lists the texts which it has by number.
const NUMBERED: &str = "// Texts: ";

/// The texts of a language.
pub(super) struct Texts(BTreeMap<String, Section>);

impl Texts {
    /// Those of `language`. A test holds that each file can be read.
    pub(super) fn of(language: Language) -> Texts {
        Texts(serde_json::from_str(file(language)).unwrap_or_default())
    }

    /// The text `key` of `section`, or of all pages, if it has one form alone.
    pub(super) fn text(&self, section: &str, key: &str) -> Option<&str> {
        match self.find(section, key) {
            Some(Text::One(text)) => Some(text),
            _ => None,
        }
    }

    /// The texts of `section` and of all pages that `script` uses, as JSON that can stand in a `script` element: those by
    /// number, if a line of it lists their keys, and those by key. It uses a text by its key if it has that in quotes, and
    /// no such line; or in a template what is before the key's full stop.
    pub(super) fn used_by(&self, section: &str, script: &str) -> String {
        let list = script.lines().find_map(|line| line.strip_prefix(NUMBERED));
        let numbered = list.unwrap_or_default().split_whitespace().map(|key| self.find(section, key));
        let all = [COMMON, section].into_iter().filter_map(|name| self.0.get(name)).flatten();
        let is_used = |key: &str| uses_group(script, key) || list.is_none() && script.contains(&format!("\"{key}\""));
        let named: BTreeMap<&String, &Text> = all.filter(|(key, _)| is_used(key)).collect();
        // Texts can be written as JSON. There, `<` has another form, which begins no tag.
        serde_json::to_string(&(numbered.collect::<Vec<_>>(), named)).unwrap_or_default().replace('<', "\\u003c")
    }

    fn find(&self, section: &str, key: &str) -> Option<&Text> {
        [section, COMMON].into_iter().find_map(|name| self.0.get(name)?.get(key))
    }
}

fn file(language: Language) -> &'static str {
    match language {
        Language::English => include_str!("../assets/ui/texts/en.json"),
        Language::German => include_str!("../assets/ui/texts/de.json"),
        Language::French => include_str!("../assets/ui/texts/fr.json"),
        Language::Spanish => include_str!("../assets/ui/texts/es.json"),
        Language::Italian => include_str!("../assets/ui/texts/it.json"),
        Language::Dutch => include_str!("../assets/ui/texts/nl.json"),
    }
}

fn uses_group(script: &str, key: &str) -> bool {
    key.split_once('.').is_some_and(|(group, _)| script.contains(&format!("`{group}.${{")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Texts that are the same in English and in another language.
    const SHARED_WORDS: [(&str, &str); 16] = [
        ("de", "API"),
        ("de", "Status"),
        ("fr", "API"),
        ("fr", "Article"),
        ("fr", "Articles"),
        ("fr", "Site"),
        ("fr", "Total"),
        ("es", "API"),
        ("es", "Total"),
        ("it", "API"),
        ("it", "Privacy"),
        ("nl", "API"),
        ("nl", "Filters"),
        ("nl", "Privacy"),
        ("nl", "Site"),
        ("nl", "Status"),
    ];

    /// The categories of whole numbers and of decimals (CLDR 48, cardinal rules).
    fn categories(language: Language) -> &'static [&'static str] {
        match language {
            Language::English | Language::German | Language::Dutch => &["one", "other"],
            Language::French | Language::Spanish | Language::Italian => &["many", "one", "other"],
        }
    }

    fn forms(text: &Text) -> Vec<&str> {
        match text {
            Text::One(text) => vec![text],
            Text::Plural(forms) => forms.values().map(String::as_str).collect(),
        }
    }

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    fn all() -> [(Language, BTreeMap<String, Section>); Language::ALL.len()] {
        Language::ALL.map(|language| (language, serde_json::from_str(file(language)).unwrap()))
    }

    #[test]
    fn each_language_has_the_same_texts_with_the_same_places() {
        let [(_, english), others @ ..] = all();
        for (language, sections) in &others {
            let tag = language.tag();
            assert_eq!(sections.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{tag}");
            for (name, section) in sections {
                let keys = |section: &Section| section.keys().cloned().collect::<Vec<_>>();
                assert_eq!(keys(section), keys(&english[name]), "{tag} {name}");
                for (key, text) in section {
                    let original = &english[name][key];
                    assert_eq!(matches!(text, Text::One(_)), matches!(original, Text::One(_)), "{tag} {name} {key}");
                    let expected = places(forms(original)[0]);
                    for form in forms(text).into_iter().chain(forms(original)) {
                        assert_eq!(places(form), expected, "{tag} {name} {key}: {form}");
                    }
                }
            }
        }
    }

    #[test]
    fn texts_have_the_plural_forms_of_their_language() {
        for (language, sections) in all() {
            for (key, text) in sections.values().flatten() {
                if let Text::Plural(forms) = text {
                    let of_text: Vec<&str> = forms.keys().map(String::as_str).collect();
                    assert_eq!(of_text, categories(language), "{} {key}", language.tag());
                    assert!(forms.values().all(|form| form.contains("{n}")), "{} {key}", language.tag());
                }
            }
        }
    }

    #[test]
    fn nothing_is_left_in_english() {
        let [(_, english), others @ ..] = all();
        for (language, sections) in &others {
            for (name, section) in sections {
                for (key, text) in section {
                    let same = forms(text).into_iter().find(|form| forms(&english[name][key]).contains(form));
                    let is_word = |same: &&str| !SHARED_WORDS.contains(&(language.tag(), same));
                    assert_eq!(same.filter(is_word), None, "{} {name} {key}", language.tag());
                }
            }
        }
    }

    #[test]
    fn texts_are_written_with_care() {
        let [(_, english), ..] = all();
        for (language, sections) in all() {
            for (name, section) in &sections {
                for (key, text) in section {
                    for form in forms(text) {
                        let about = format!("{} {name} {key}: {form}", language.tag());
                        assert!(!form.is_empty() && form.trim() == form && !form.contains("  "), "{about}");
                        assert!(!form.contains(['"', '\'', '<', '>', '&']), "{about}");
                        // What is a sentence in English is one.
                        let end = |text: &str| {
                            text.chars().last().filter(|last| ".:?…".contains(*last) && text.contains(' '))
                        };
                        assert_eq!(end(form), end(forms(&english[name][key])[0]), "{about}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_script_gets_the_texts_that_it_names() {
        let texts = |json: &str| Texts(serde_json::from_str(json).unwrap());
        let texts = texts(
            r#"{"page":{"a":"A","b":"B"},"x":{"c":{"one":"1","other":"<n>"},"s.1":"S","u.1":"U"},"y":{"a":"Y"}}"#,
        );
        let script = "t(\"a\"); t('b'); t(\"c\"); t(`s.${step}`);";
        assert_eq!(texts.used_by("x", script), r#"[[],{"a":"A","c":{"one":"1","other":"\u003cn>"},"s.1":"S"}]"#);
        let script = "// Texts: c a\nt(1); element(\"b\"); t(`s.${step}`);";
        assert_eq!(texts.used_by("x", script), r#"[[{"one":"1","other":"\u003cn>"},"A"],{"s.1":"S"}]"#);
        assert_eq!(texts.text("x", "a"), Some("A"));
        assert_eq!(texts.text("y", "a"), Some("Y"));
        assert_eq!((texts.text("x", "c"), texts.text("y", "d")), (None, None));
    }
}
