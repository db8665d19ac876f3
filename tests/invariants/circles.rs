//! No source file imports itself over others.

use std::collections::BTreeMap;

use super::graph::{Circle, Graph};
use super::sources;

#[test]
fn the_sources_do_not_import_each_other_in_circles() {
    let texts: BTreeMap<String, String> =
        sources().into_iter().map(|source| (source.path.display().to_string(), source.text)).collect();
    let graph = Graph::read(&texts);
    let unseen: Vec<&String> =
        texts.keys().filter(|path| *path != "main.rs" && !graph.files().contains(path)).collect();
    assert!(unseen.is_empty(), "no module of the crate: {unseen:?}");
    let imports = graph.imports_of("config/mod.rs");
    assert!(imports.contains(&"cli/serve.rs") && imports.contains(&"config/layers.rs"), "{imports:?}");
    let circles = graph.circles();
    assert!(circles.is_empty(), "{}", circles.iter().map(described).collect::<String>());
}

fn described(circle: &Circle) -> String {
    let Circle { files, lines } = circle;
    format!("\n\n{} files in a circle: {}\n  {}", files.len(), files.join(" "), lines.join("\n  "))
}

fn graph(texts: &[(&str, &str)]) -> Graph {
    Graph::read(&texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

/// The circles of a crate: their files.
fn circles(texts: &[(&str, &str)]) -> Vec<Vec<String>> {
    graph(texts).circles().into_iter().map(|circle| circle.files).collect()
}

#[test]
fn a_circle_of_two_or_three_files_is_found_with_its_lines() {
    let texts = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "//! Of a.\n\nuse crate::b::{self, B};\npub struct A;"),
        ("b.rs", "use std::fmt;\nuse super::c;\npub struct B(c::C);"),
        ("c.rs", "pub fn c() {\n    let a: crate::a::A;\n}\npub struct C;"),
        ("d.rs", "use crate::a::A;"),
    ];
    let expected = Circle {
        files: ["a.rs", "b.rs", "c.rs"].map(str::to_owned).to_vec(),
        lines: ["a.rs:3 -> b.rs by crate::b", "b.rs:2 -> c.rs by super::c", "c.rs:2 -> a.rs by crate::a::A"]
            .map(str::to_owned)
            .to_vec(),
    };
    assert_eq!(graph(&texts).circles(), [expected]);
    let two = [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b;"), ("b.rs", "fn f(a: &super::a::A) {}")];
    assert_eq!(circles(&two), [["a.rs", "b.rs"]]);
}

#[test]
fn a_re_export_leads_to_the_file_that_defines_the_item() {
    let texts = [
        ("lib.rs", "pub mod room;"),
        ("room/mod.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use b::{B as Other};"),
        ("room/a.rs", "use super::Other;\npub struct A(Other);"),
        ("room/b.rs", "use crate::room::A;\npub struct B;"),
    ];
    assert_eq!(circles(&texts), [["room/a.rs", "room/b.rs"]]);
    let over_a_star = [
        ("lib.rs", "pub mod room; mod c;"),
        ("room/mod.rs", "mod a; pub use a::*;"),
        ("room/a.rs", "pub struct A; type C = crate::c::C;"),
        ("c.rs", "use crate::room::A; pub struct C;"),
    ];
    assert_eq!(circles(&over_a_star), [["room/a.rs", "c.rs"]]);
}

#[test]
fn a_parent_and_its_child_are_a_circle() {
    let texts = [
        ("lib.rs", "mod room;"),
        ("room.rs", "mod a;\nuse a::A;\npub(super) struct Room(A);"),
        ("room/a.rs", "use super::Room;\npub struct A;"),
    ];
    assert_eq!(circles(&texts), [["room.rs", "room/a.rs"]]);
    let by_a_path = [
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod a; pub struct Room; fn f() { a::f() }"),
        ("room/a.rs", "pub fn f() -> super::Room {}"),
    ];
    assert_eq!(circles(&by_a_path), [["room/mod.rs", "room/a.rs"]]);
    let of_the_root = [("lib.rs", "mod a; pub use a::A; pub struct B;"), ("a.rs", "use crate::B; pub struct A;")];
    assert_eq!(circles(&of_the_root), [["lib.rs", "a.rs"]]);
}

#[test]
fn what_leads_one_way_is_no_circle() {
    let re_exported = [
        ("lib.rs", "mod room; mod b;"),
        ("room/mod.rs", "mod a; pub use a::A; pub use crate::b::B;"),
        ("room/a.rs", "use super::B; pub struct A;"),
        ("b.rs", "pub struct B;"),
    ];
    assert_eq!(circles(&re_exported), [[""; 0]; 0]);
    let in_tests = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }\n#[cfg(test)] use super::a::{A};"),
    ];
    assert_eq!(circles(&in_tests), [[""; 0]; 0]);
    let elsewhere = [
        ("lib.rs", "mod a; mod http;"),
        (
            "a.rs",
            "use clap::http; use ::http::A; /* crate::http::A */ // crate::http::A\nconst A: &str = \"crate::http::A\";",
        ),
        ("http.rs", "use crate::a; fn f<'a>(c: char) -> bool { c == '\"' && a::A == \"\" }"),
    ];
    assert_eq!(circles(&elsewhere), [[""; 0]; 0]);
}

#[test]
fn modules_are_found_where_the_compiler_finds_them() {
    let texts = [
        (
            "lib.rs",
            "pub mod a { pub mod b; pub struct InLine; }\n#[cfg(x)] mod c;\n#[cfg(not(x))]\n#[path = \"other.rs\"]\nmod c;",
        ),
        ("a/b.rs", "use super::InLine; use super::super::c::C;"),
        ("c/mod.rs", "pub struct C;"),
        ("other.rs", "pub(in crate::a) struct C(crate::a::b::B);"),
    ];
    let graph = graph(&texts);
    assert_eq!(graph.imports_of("a/b.rs"), ["lib.rs", "c/mod.rs", "other.rs"]);
    assert_eq!(graph.imports_of("other.rs"), ["a/b.rs"]);
    assert_eq!(graph.circles().len(), 1);
}
