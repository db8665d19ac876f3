//! README and `docs` agree with the program: links, flags, variables, metrics, problem codes and messages that they
//! name exist, and what they show of commands is what the commands print.

mod markdown;
mod transcript;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Arg, CommandFactory};
use waybill::cli::Cli;

use crate::support::{SEED, Server};
use markdown::{Markdown, ROOT, code_spans, words};

const README_LINES_MAX: usize = 170;
/// Flags of other programs that documents name.
const FOREIGN_FLAGS: [&str; 27] = [
    "--all",
    "--all-targets",
    "--body",
    "--build",
    "--check",
    "--fail-with-body",
    "--features",
    "--lib",
    "--list",
    "--locked",
    "--long",
    "--name",
    "--now",
    "--path",
    "--release",
    "--rm",
    "--signal",
    "--skip",
    "--skip-image",
    "--snapshot",
    "--system",
    "--target",
    "--test",
    "--ultra",
    "--unix-socket",
    "--version",
    "--workspace",
];
/// Variables of scripts and of Kubernetes, not of the program.
const FOREIGN_VARIABLES: [&str; 6] =
    ["WAYBILL_", "WAYBILL_BIN", "WAYBILL_IMAGE_CACHE", "WAYBILL_PORT", "WAYBILL_PORT_", "WAYBILL_SERVICE_"];
/// Parts of messages that are the system's, or that the sources have in parts.
const FOREIGN_MESSAGES: [&str; 4] =
    ["Address already in use", "No such file or directory", "allowed; the first: line", "cannot open"];
/// Shorter parts of messages are in the sources anyway.
const MESSAGE_PART_MIN: usize = 10;

#[test]
fn the_readme_is_a_shop_window() {
    let lines = Markdown::read("README.md").text.lines().count();
    assert!(lines <= README_LINES_MAX, "{lines} lines");
}

#[test]
fn every_link_leads_somewhere() {
    for document in Markdown::all() {
        for link in document.links().iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.path.clone(),
                _ => document.path.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{}: {link}", document.path.display());
            if !anchor.is_empty() {
                let anchors = Markdown::read(target.to_str().unwrap()).anchors();
                assert!(anchors.contains(anchor), "{}: {link}: {anchors:?}", document.path.display());
            }
        }
    }
}

#[test]
fn the_version_is_that_of_the_newest_release_in_the_changelog() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = Markdown::read("CHANGELOG.md").text;
    let released = changelog.lines().find(|line| line.starts_with("## [") && *line != "## [Unreleased]").unwrap();
    assert!(released.starts_with(&format!("## [{version}] - ")), "{released}: not {version}");
    let api: serde_json::Value = serde_json::from_str(include_str!("../../../src/http/assets/openapi.json")).unwrap();
    assert_eq!(api["info"]["version"], version);
}

#[test]
fn the_readme_leads_to_every_document() {
    let links: BTreeSet<PathBuf> =
        Markdown::read("README.md").links().iter().map(|link| Path::new(ROOT).join(link)).collect();
    for document in Markdown::all().iter().filter(|document| !document.path.ends_with("README.md")) {
        assert!(links.contains(&document.path), "{}", document.path.display());
    }
}

#[test]
fn every_file_that_is_named_exists() {
    let folders = ["src/", "tests/", "docs/", "deploy/", "benches/", "loadtest/", "fuzz/", ".ci/", ".github/"];
    let sources = sources();
    for document in Markdown::all() {
        let name = document.path.display();
        let is_part = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        for path in folders.iter().flat_map(|folder| words(&document.text, folder, is_part)) {
            // A full stop may follow.
            assert!(Path::new(ROOT).join(path.trim_end_matches('.')).exists(), "{name}: {path}");
        }
        let is_source = |span: &&String| Path::new(span).extension().is_some_and(|extension| extension == "rs");
        for span in document.code_spans().iter().filter(is_source) {
            let is_there = sources.keys().any(|path| path.ends_with(span)) || Path::new(ROOT).join(span).exists();
            assert!(is_there, "{name}: {span}");
        }
    }
}

#[test]
fn every_name_in_the_map_of_the_source_is_in_the_source() {
    let sources: String = sources().into_values().collect();
    let is_name = |span: &&String| {
        let is_path = span.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        is_path && (span.contains("::") || span.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(Markdown::read) {
        for span in document.code_spans().iter().filter(is_name).filter(|span| !span.starts_with("WAYBILL_")) {
            let is_there = span.split("::").all(|name| sources.contains(name));
            assert!(is_there, "{}: {span}", document.path.display());
        }
    }
}

#[test]
fn every_flag_and_variable_that_is_named_exists() {
    let command = Cli::command();
    let arguments = || command.get_subcommands().flat_map(clap::Command::get_arguments);
    let flags: BTreeSet<String> = arguments().filter_map(Arg::get_long).map(|name| format!("--{name}")).collect();
    let variables: BTreeSet<&str> = arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    for document in Markdown::all() {
        for flag in words(&document.text, "--", |c| c.is_ascii_lowercase() || c == '-') {
            let is_known = flags.contains(&flag) || FOREIGN_FLAGS.contains(&&*flag) || flag.starts_with("---");
            assert!(is_known, "{}: {flag}", document.path.display());
        }
        for variable in words(&document.text, "WAYBILL_", |c| c.is_ascii_uppercase() || c == '_') {
            let is_known = variables.contains(&*variable) || FOREIGN_VARIABLES.contains(&&*variable);
            assert!(is_known, "{}: {variable}", document.path.display());
        }
    }
}

#[test]
fn the_tables_of_flags_are_those_of_the_command_line() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let flags = serve.get_arguments().filter(|argument| argument.get_id() != "help");
    let defined: BTreeMap<String, String> = flags.map(|flag| (usage(flag), default(flag))).collect();
    let rows = Markdown::read("docs/configuration.md").rows();
    let flags = rows.iter().filter(|row| row[0].starts_with("`--"));
    let documented: BTreeMap<String, String> =
        flags.map(|row| (row[0].trim_matches('`').to_owned(), row[1].trim_matches('`').to_owned())).collect();
    assert_eq!(documented, defined);
}

/// A flag with what it takes.
fn usage(flag: &Arg) -> String {
    let name = format!("--{}", flag.get_long().unwrap());
    let is_optional = flag.get_num_args().is_some_and(|count| count.min_values() == 0);
    match (flag.get_action().takes_values(), flag.get_value_names()) {
        (true, Some([value])) if is_optional => format!("{name} [{value}]"),
        (true, Some([value])) => format!("{name} {value}"),
        _ => name,
    }
}

fn default(flag: &Arg) -> String {
    let is_switch = !flag.get_action().takes_values();
    let values = flag.get_default_values().iter().map(|value| value.to_str().unwrap());
    if is_switch { String::new() } else { values.collect() }
}

#[test]
fn every_metric_is_documented_and_every_metric_that_is_named_exists() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, "shop:a-key-of-some-length\n").unwrap();
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let [certificate, key] = ["certificate", "key"].map(|name| dir.path().join(name));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let [keys, certificate, key] = [&keys, &certificate, &key].map(|path| path.to_str().unwrap());
    let files = ["--api-keys-file", keys, "--tls-cert", certificate, "--tls-key", key];
    let server = Server::start(
        SEED,
        &[
            &files[..],
            &["--shard", "0/2", "--min-shipments", "0", "--max-data-age", "1h"],
            &["--changes", "1", "--status-map", "builtin"],
        ]
        .concat(),
    );
    server.state();
    let scrape = server.admin_get("/metrics");
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let families = scrape.text().lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let families: BTreeSet<String> =
        families.filter(|family| family.starts_with("waybill_")).map(str::to_owned).collect();

    let of = |document: &Markdown| words(&document.text, "waybill_", is_part);
    assert_eq!(of(&Markdown::read("docs/observability.md")), families);
    for document in Markdown::all() {
        let unknown: Vec<String> = of(&document).difference(&families).cloned().collect();
        assert_eq!(unknown, [""; 0], "{}", document.path.display());
    }
    for path in ["deploy/prometheus/rules.yml", "deploy/grafana/dashboard.json"] {
        for name in of(&Markdown::read(path)) {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let is_known = families.contains(&name) || family.is_some_and(|family| families.contains(family));
            assert!(is_known, "{path}: {name}");
        }
    }
}

#[test]
fn the_problem_codes_are_those_of_the_source() {
    let sources = sources();
    let code = sources.values().find_map(|source| source.split_once("pub enum Code {")).expect("the problem codes").1;
    let (code, _) = code.split_once("\n}").unwrap();
    let variants = code.lines().filter_map(|line| line.trim().strip_suffix(','));
    let defined: BTreeSet<String> = variants.map(snake_case).collect();
    let rows = Markdown::read("docs/api.md").rows();
    let is_status = |row: &&Vec<String>| row.len() == 3 && row[1].parse::<u16>().is_ok();
    let documented: BTreeSet<String> =
        rows.iter().filter(is_status).map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(documented, defined);
}

fn snake_case(name: &str) -> String {
    let parts = name.char_indices().map(|(at, c)| match c {
        'A'..='Z' if at > 0 => format!("_{}", c.to_ascii_lowercase()),
        _ => c.to_ascii_lowercase().to_string(),
    });
    parts.collect()
}

#[test]
fn messages_that_are_explained_are_those_of_the_program() {
    let sources: String = sources().into_values().collect();
    let rows = Markdown::read("docs/troubleshooting.md").rows();
    let messages: Vec<String> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    assert!(messages.len() > 15, "{messages:?}");
    let parts = |message: &str| {
        let parts = message.split(|c: char| c == '…' || c.is_ascii_digit());
        parts.map(|part| part.trim_matches([' ', ':', ',']).to_owned()).collect::<Vec<_>>()
    };
    for part in messages.iter().flat_map(|message| parts(message)).filter(|part| part.len() >= MESSAGE_PART_MIN) {
        // Problem codes, too, are messages.
        let is_code = part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_foreign = FOREIGN_MESSAGES.iter().any(|foreign| part.contains(foreign));
        assert!(is_code || is_foreign || sources.contains(&part), "{part:?} is no message of the program");
    }
}

/// The files of `src`, by their paths below it.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(ROOT).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.insert(path.strip_prefix(&root).unwrap().to_owned(), text);
            }
        }
    }
    sources
}

#[test]
fn commands_print_what_the_documents_show() {
    let mut count = 0;
    for document in Markdown::all() {
        for block in document.blocks().iter().filter(|block| block.language == "console") {
            let differences = transcript::check(block);
            assert!(differences.is_empty(), "{}:{}: {}", document.path.display(), block.line, differences.join("\n"));
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} blocks were found");
}
