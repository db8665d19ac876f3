//! The project's documents, as far as the tests look into them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A Markdown file.
pub(crate) struct Markdown {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block of code.
pub(crate) struct Block {
    /// After the fence.
    pub(crate) language: String,
    /// Its first line's number, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Markdown {
    pub(crate) fn read(path: &str) -> Markdown {
        let path = Path::new(ROOT).join(path);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Markdown { path, text }
    }

    /// All documents: those of the root, and those in `docs`.
    pub(crate) fn all() -> Vec<Markdown> {
        let mut names: Vec<String> = ["", "docs/"].into_iter().flat_map(names_in).collect();
        names.sort();
        assert!(names.len() > 10, "{names:?}");
        names.iter().map(|name| Markdown::read(name)).collect()
    }

    /// Targets of links and pictures.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for line in self.prose() {
            let mut rest = line;
            while let Some((_, after)) = rest.split_once("](") {
                let (target, after) = after.split_once(')').unwrap_or((after, ""));
                links.push(target.to_owned());
                rest = after;
            }
        }
        links
    }

    /// What links can lead to within it: its headings, as GitHub names them.
    pub(crate) fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().into_iter().filter_map(|line| {
            let title = line.trim_start_matches('#');
            (title.len() < line.len()).then(|| title.strip_prefix(' ')).flatten()
        });
        let anchor = |title: &str| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        };
        let mut anchors = BTreeSet::new();
        for heading in headings {
            assert!(anchors.insert(anchor(heading)), "{} has two headings {heading:?}", self.path.display());
        }
        anchors
    }

    /// Rows of tables, without the lines under their heads. Cells are trimmed, `\|` is unescaped.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let row = |line: &str| {
            let cells = line.strip_prefix('|')?.strip_suffix('|')?.replace("\\|", "\0");
            Some(cells.split('|').map(|cell| cell.trim().replace('\0', "|")).collect::<Vec<_>>())
        };
        let rows = self.prose().into_iter().filter_map(row);
        rows.filter(|cells| !cells.iter().all(|cell| cell.starts_with('-') || cell.is_empty())).collect()
    }

    /// What stands in backticks, outside of blocks.
    pub(crate) fn code_spans(&self) -> Vec<String> {
        code_spans(&self.prose().join("\n"))
    }

    /// Fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => {
                    open = Some(Block { language: language.to_owned(), line: number + 1, text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{} ends in a block", self.path.display());
        blocks
    }

    /// The lines outside of fenced blocks.
    fn prose(&self) -> Vec<&str> {
        let mut is_code = false;
        let mut is_prose = |line: &&str| {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        };
        self.text.lines().filter(|line| is_prose(line)).collect()
    }
}

/// What stands in backticks.
pub(crate) fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Words of `text` that begin with `prefix` and go on with `is_part`, and do not go on before it.
pub(crate) fn words(text: &str, prefix: &str, is_part: impl Fn(char) -> bool) -> BTreeSet<String> {
    let starts = text.match_indices(prefix).map(|(at, _)| at);
    let whole = starts.filter(|at| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-')));
    let words = whole.map(|at| {
        let rest = &text[at + prefix.len()..];
        &text[at..at + prefix.len() + rest.find(|c| !is_part(c)).unwrap_or(rest.len())]
    });
    words.filter(|word| word.len() > prefix.len()).map(str::to_owned).collect()
}

/// The paths of the Markdown files in a folder of the repository.
fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
    names.map(|name| format!("{folder}{name}")).collect()
}
