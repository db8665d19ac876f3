//! The field's terms instead of a private vocabulary: identifiers that sources do not have, and phrases that neither
//! sources nor documents, tests or deployment files have.

use std::path::Path;

use crate::{assert_none, files, names, sources, texts};

/// Each with the term to use in its place.
const IDENTIFIERS: [(&str, &str); 33] = [
    ("ASIDE_MAX", "BLOCKING_…"),
    ("ASIDE_NICENESS", "BLOCKING_NICENESS"),
    ("ASIDE_THREADS_MAX", "BLOCKING_THREADS_MAX"),
    ("Answer", "Response"),
    ("Asked", "LoggedRequest"),
    ("Elsewhere", "WrongShard"),
    ("Finishing", "Draining"),
    ("Folded", "FoldedKey"),
    ("Foretold", "SizeEstimate"),
    ("Meter", "RequestRecorder"),
    ("Namer", "FacetValueInterner"),
    ("Noted", "RequestContext"),
    ("Numbering", "FacetValueIds"),
    ("Orders", "ConnectionCommand"),
    ("PULSE_INTERVAL", "TICK_INTERVAL"),
    ("Pulse", "Tick"),
    ("aside", "offload"),
    ("be_nice", "lower_thread_priority"),
    ("beat", "tick"),
    ("clashes", "collisions"),
    ("dataset_answer_aside", "offload"),
    ("drop_untaken", "reset_on_close"),
    ("foretell", "estimate"),
    ("foretold", "estimated"),
    ("heed", "poll_command"),
    ("is_torn", "is_incomplete"),
    ("lasts_until_the_file_changes", "is_permanent"),
    ("may_cross", "response_may_race"),
    ("pulse", "tick"),
    ("settle", "resolve"),
    ("tear", "incomplete record"),
    ("torn", "incomplete"),
    ("unless_known", "or_not_modified"),
];

const PHRASES: [(&str, &str); 10] = [
    ("everybody's listener", "public listener"),
    ("listener for everybody", "public listener"),
    ("operators' listener", "admin listener"),
    ("listener for operators", "admin listener"),
    ("questions for data", "data requests"),
    ("secure the listener", "enable TLS"),
    ("stands still", "is stable"),
    ("no sight of", "unavailable"),
    ("reads files alone", "built without object-store support"),
    ("stands twice", "duplicate"),
];

/// Where phrases are looked for, and in files of which kinds.
const PLACES: [&str; 9] = ["src", "docs", "deploy", "tests", "benches", "fuzz", "loadtest/src", ".ci", ""];
const KINDS: [&str; 15] =
    ["rs", "md", "html", "js", "css", "json", "toml", "sh", "py", "yml", "yaml", "cfg", "conf", "service", "socket"];

#[test]
fn sources_have_no_private_identifiers() {
    let mut broken = Vec::new();
    for source in sources() {
        let found = IDENTIFIERS.iter().filter(|(name, _)| names(&source.tokens, name));
        broken.extend(found.map(|(name, term)| format!("{}: {name}; write {term}", source.path.display())));
    }
    assert_none(&broken);
}

#[test]
fn no_text_has_private_phrases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut seen = 0;
    let is_text = |path: &Path| path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known));
    for path in PLACES.iter().flat_map(|place| files(&root.join(place), !place.is_empty())) {
        // This file has to name them.
        if !is_text(&path) || path.ends_with("words.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        seen += 1;
        let path = path.strip_prefix(root).unwrap().display().to_string();
        broken.extend(phrases(&text).map(|(phrase, term)| format!("{path}: {phrase}; write {term}")));
    }
    assert!(seen > 150, "{seen} files were looked at");
    assert_none(&broken);
}

#[test]
fn words_that_are_looked_for_would_be_found() {
    let tokens = texts("fn heed(order: Orders) {}");
    assert!(names(&tokens, "heed") && names(&tokens, "Orders") && !names(&tokens, "Order"));
    let found: Vec<_> =
        phrases("Everybody's\n/// listener: the file  stands\nstill").map(|(phrase, _)| *phrase).collect();
    assert_eq!(found, ["everybody's listener", "stands still"]);
}

/// The phrases of `text`, over line breaks and the signs of comments too.
fn phrases(text: &str) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let words = text.to_lowercase();
    let words = words.split_whitespace().filter(|word| !word.chars().all(|sign| "/!#*|".contains(sign)));
    let words = words.collect::<Vec<_>>().join(" ");
    PHRASES.iter().filter(move |(phrase, _)| words.contains(phrase))
}
