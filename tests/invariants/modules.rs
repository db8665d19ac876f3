//! The modules of a crate, read from its sources: what each defines, imports and names by a path.
//!
//! Items under `#[cfg(test)]` are left out, and names that a macro makes are not seen.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::{Token, tokens};

/// Keywords that an item's name follows.
const ITEMS: [&str; 8] = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];

/// A path in a text: `crate::a::B`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    /// From 1.
    pub(crate) line: usize,
}

/// One name of a `use`, or all of a module.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) path: Path,
    /// What it is called here; none where all names of a module are meant.
    pub(crate) name: Option<String>,
}

/// A module: a file, or part of one.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Number of the file.
    pub(crate) file: usize,
    /// Number of the module around it; its own for the crate's root.
    pub(crate) parent: usize,
    /// Modules by their names; several where the build chooses one.
    pub(crate) children: BTreeMap<String, Vec<usize>>,
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths in code, outside of `use`.
    pub(crate) paths: Vec<Path>,
}

/// All modules; the first is the crate's root.
pub(crate) struct Crate {
    pub(crate) modules: Vec<Module>,
    /// Files that modules were found in, by their paths below the root's folder.
    pub(crate) files: Vec<String>,
}

impl Crate {
    /// Reads the crate whose root is `lib.rs` from texts by their paths, such as `a/mod.rs`.
    pub(crate) fn read(texts: &BTreeMap<String, String>) -> Crate {
        let mut found = Crate { modules: Vec::new(), files: Vec::new() };
        found.add_file(texts, "lib.rs", "", 0);
        found
    }

    /// Adds the module that is the file `path`, with those below it. Its children's files are in `folder`.
    fn add_file(&mut self, texts: &BTreeMap<String, String>, path: &str, folder: &str, parent: usize) -> usize {
        let text = texts.get(path).unwrap_or_else(|| panic!("no file {path}"));
        let file = self.files.len();
        self.files.push(path.to_owned());
        let tokens = without_tests(&tokens(text));
        self.add_module(texts, &tokens, file, folder, parent)
    }

    fn add_module(
        &mut self,
        texts: &BTreeMap<String, String>,
        tokens: &[Token<'_>],
        file: usize,
        folder: &str,
        parent: usize,
    ) -> usize {
        let number = self.modules.len();
        self.modules.push(Module { file, parent, ..Module::default() });
        let mut named_file = None;
        let mut depth = 0;
        let mut at = 0;
        while at < tokens.len() {
            let text = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text);
            let mut length = 1;
            match text(0) {
                "#" if text(1) == "[" && text(2) == "path" => {
                    named_file = Some(text(4).trim_matches('"').to_owned());
                    length = 6;
                }
                "mod" if text(2) == ";" => {
                    let name = text(1);
                    let child = self.add_child(texts, named_file.take(), name, folder, number);
                    self.modules[number].children.entry(name.to_owned()).or_default().push(child);
                }
                "mod" if text(2) == "{" => {
                    let end = group_end(tokens, at + 2);
                    let inside = &tokens[at + 3..end];
                    let child = self.add_module(texts, inside, file, &format!("{folder}{}/", text(1)), number);
                    self.modules[number].children.entry(text(1).to_owned()).or_default().push(child);
                    length = end + 1 - at;
                }
                "pub" if text(1) == "(" => length = group_end(tokens, at + 1) + 1 - at,
                // Of a type: `impl Trait + use<'a>`.
                "use" if text(1) != "<" => {
                    let mut end = at + 1;
                    read_imports(tokens, &mut end, &[], &mut self.modules[number].imports);
                    length = end - at;
                }
                "macro_rules" => {
                    self.modules[number].items.insert(text(2).to_owned());
                }
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ if depth == 0 && defines(&tokens[at..]) => {
                    self.modules[number].items.insert(text(1).to_owned());
                }
                _ if tokens[at].is_name() && text(1) == "::" && (at == 0 || tokens[at - 1].text != "::") => {
                    let path = path_at(&tokens[at..]);
                    length = 2 * path.segments.len() - 1;
                    self.modules[number].paths.push(path);
                }
                _ => {}
            }
            at += length;
        }
        number
    }

    fn add_child(
        &mut self,
        texts: &BTreeMap<String, String>,
        file: Option<String>,
        name: &str,
        folder: &str,
        parent: usize,
    ) -> usize {
        let below = format!("{folder}{name}/");
        let file = match file {
            Some(file) => format!("{folder}{file}"),
            None => format!("{folder}{name}.rs"),
        };
        let file = if texts.contains_key(&file) { file } else { format!("{below}mod.rs") };
        self.add_file(texts, &file, &below, parent)
    }
}

/// Whether an item's name is the second token.
fn defines(tokens: &[Token<'_>]) -> bool {
    let is_name = |token: &Token<'_>| token.is_name() && !ITEMS.contains(&token.text);
    ITEMS.contains(&tokens[0].text) && tokens.get(1).is_some_and(is_name)
}

/// The names at the start of `tokens`, up to the last that `::` leads to.
fn path_at(tokens: &[Token<'_>]) -> Path {
    let mut segments = vec![tokens[0].text.to_owned()];
    let mut at = 1;
    while tokens.get(at).is_some_and(|sign| sign.text == "::")
        && tokens.get(at + 1).is_some_and(|token| token.is_name())
    {
        segments.push(tokens[at + 1].text.to_owned());
        at += 2;
    }
    Path { segments, line: tokens[0].line }
}

/// Reads one tree of a `use` from `at` on, and goes past it.
fn read_imports(tokens: &[Token<'_>], at: &mut usize, before: &[String], imports: &mut Vec<Import>) {
    let mut segments = before.to_vec();
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        let line = token.line;
        match token.text {
            "::" => {}
            "{" => {
                while tokens[*at].text != "}" {
                    read_imports(tokens, at, &segments, imports);
                    *at += usize::from(tokens[*at].text == ",");
                }
                *at += 1;
                return;
            }
            "*" => {
                imports.push(Import { path: Path { segments, line }, name: None });
                return;
            }
            name => {
                segments.push(name.to_owned());
                if tokens.get(*at).is_some_and(|next| next.text == "::") {
                    continue;
                }
                if segments.len() > 1 && name == "self" {
                    segments.pop();
                }
                let mut name = segments.last().cloned();
                if tokens.get(*at).is_some_and(|next| next.text == "as") {
                    name = Some(tokens[*at + 1].text.to_owned());
                    *at += 2;
                }
                imports.push(Import { path: Path { segments, line }, name });
                return;
            }
        }
    }
}

/// The number of the token that closes what the one at `start` opens.
fn group_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// What is compiled into the program: no item, field or statement behind `#[cfg(test)]`.
fn without_tests<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let attribute: Vec<&str> = tokens[at..].iter().take(7).map(|token| token.text).collect();
        if attribute == ["#", "[", "cfg", "(", "test", ")", "]"] {
            at = item_end(tokens, at + 7);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// The number of the token after the item that starts at `at`, its other attributes included.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while tokens[at].text == "#" {
        at = group_end(tokens, at + 1) + 1;
    }
    let keyword = tokens[at..]
        .iter()
        .position(|token| token.is_name() && token.text != "pub")
        .map_or("", |i| tokens[at + i].text);
    // The braces of these are not their end.
    let ends_by_sign = ["use", "const", "static", "type", "let"].contains(&keyword);
    while at < tokens.len() {
        match tokens[at].text {
            ";" => return at + 1,
            "{" if !ends_by_sign => return group_end(tokens, at) + 1,
            "{" | "(" | "[" => at = group_end(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}
