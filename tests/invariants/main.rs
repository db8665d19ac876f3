//! The invariants that `src/lib.rs` states, checked on the sources.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod circles;
mod graph;
mod modules;
mod tokens;
mod words;

use std::path::{Path, PathBuf};

use tokens::tokens;

const LINES_MAX: usize = 400;

/// A source file: its path below `src`, its text, its tokens.
struct Source {
    path: PathBuf,
    text: String,
    tokens: Vec<String>,
}

impl Source {
    fn is_of(&self, module: &str) -> bool {
        self.path.starts_with(module) || self.path == Path::new(module).with_extension("rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&root, true).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "rs"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(&root).unwrap().to_owned();
        Source { path, tokens: texts(&text), text }
    };
    let sources: Vec<Source> = files.map(read).collect();
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

/// The files in `dir`, and in its folders if `is_deep`; generated and foreign ones are left out.
fn files(dir: &Path, is_deep: bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_named = |name: &str| path.file_name().is_some_and(|own| own == name);
        if ["node_modules", "corpus", "target", "swagger-ui"].into_iter().any(is_named) {
            continue;
        }
        if !path.is_dir() {
            files.push(path);
        } else if is_deep {
            files.extend(self::files(&path, is_deep));
        }
    }
    files
}

fn texts(text: &str) -> Vec<String> {
    tokens(text).iter().map(|token| token.text.to_owned()).collect()
}

/// Whether `path` (names with `::` between) stands in `tokens`.
fn has_path(tokens: &[String], path: &str) -> bool {
    let path: Vec<&str> = self::tokens(path).iter().map(|token| token.text).collect();
    tokens.windows(path.len()).any(|window| window == path)
}

fn names(tokens: &[String], name: &str) -> bool {
    tokens.iter().any(|token| token == name)
}

/// Whether a module of this crate is used: by its path, or in a `use crate::{…}`.
fn uses_module(tokens: &[String], module: &str) -> bool {
    let in_use = |start: usize| {
        let statement = &tokens[start..];
        let end = statement.iter().position(|token| token == ";").unwrap_or(statement.len());
        statement.get(1).is_some_and(|root| root == "crate" || root == "super") && names(&statement[..end], module)
    };
    let uses = tokens.iter().enumerate().filter(|(_, token)| *token == "use");
    has_path(tokens, &format!("crate::{module}"))
        || has_path(tokens, &format!("super::{module}"))
        || uses.map(|(start, _)| start).any(in_use)
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_data_modules_know_nothing_of_the_network() {
    let sources = sources();
    let mut broken = Vec::new();
    for module in ["shipment", "place", "load", "dataset", "store"] {
        let of_module: Vec<&Source> = sources.iter().filter(|source| source.is_of(module)).collect();
        assert!(!of_module.is_empty(), "no module {module}");
        for source in of_module {
            let foreign = ["hyper", "hyper_util", "http", "http_body_util", "tokio"];
            let named = foreign.into_iter().filter(|name| names(&source.tokens, name));
            broken.extend(named.map(|name| format!("{}: {name}", source.path.display())));
        }
    }
    assert_none(&broken);
}

#[test]
fn the_dataset_does_not_know_the_loader() {
    let sources = sources();
    let knows = |source: &&Source| source.is_of("dataset") && uses_module(&source.tokens, "load");
    let broken: Vec<String> = sources.iter().filter(knows).map(|source| source.path.display().to_string()).collect();
    assert_none(&broken);
    // The other way round it must be found, or this test sees nothing.
    assert!(sources.iter().any(|source| source.is_of("load") && uses_module(&source.tokens, "dataset")));
}

#[test]
fn no_source_file_is_long() {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines", source.path.display()))
    };
    assert_none(&sources().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn there_is_no_unsafe() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\"") && manifest.contains("[lints]\nworkspace = true"));
    let sources = sources();
    let broken = sources.iter().filter(|source| names(&source.tokens, "unsafe"));
    assert_none(&broken.map(|source| source.path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn responses_are_built_in_one_place() {
    let sources = sources();
    let builds = |source: &&Source| {
        let constructors = ["new", "builder", "default", "from_parts"];
        let of = |name: &str| constructors.iter().any(|new| has_path(&source.tokens, &format!("{name}::{new}")));
        of("Response") || of("Answer")
    };
    let builders: Vec<&Path> = sources.iter().filter(builds).map(|source| source.path.as_path()).collect();
    assert!(!builders.is_empty() && builders.iter().all(|path| path.starts_with("http/response")), "{builders:?}");
}

#[test]
fn what_is_looked_for_would_be_found() {
    let text = r##"
        //! unsafe
        /* tokio */
        use crate::{shipment::Row, load};
        fn f<'a>(x: &'a str) -> char { "hyper \" http"; r#"unsafe "x" "#; '"'; '\''; x.load(); Response::builder() }
    "##;
    let tokens = texts(text);
    assert!(uses_module(&tokens, "load") && has_path(&tokens, "Response::builder"));
    assert!(!has_path(&tokens, "Response::new") && !uses_module(&tokens, "store"));
    for absent in ["unsafe", "tokio", "hyper", "http"] {
        assert!(!names(&tokens, absent), "{absent}: {tokens:?}");
    }
    for (text, module) in [
        ("use super::load;", "load"),
        ("let x = crate::load::load(path);", "load"),
        ("use crate::dataset::Dataset;", "dataset"),
    ] {
        assert!(uses_module(&texts(text), module), "{text}");
    }
    assert!(!uses_module(&texts("use std::sync::atomic::Ordering; a.load(b); crate::store::load()"), "load"));
    assert!(names(&texts("unsafe { }"), "unsafe"));
}
