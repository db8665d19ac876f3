//! Which file of a crate imports which, and the circles among them.
//!
//! A name leads to the file that defines it, through every `use` on the way; a module leads to its file. `mod x;` alone
//! leads nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Crate, Import, Module, Path};

/// Files, by number, and the lines by which they import each other.
pub(crate) struct Graph {
    files: Vec<String>,
    /// From a file to another: the first line that leads there, and the path in it.
    edges: BTreeMap<(usize, usize), (usize, String)>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// Something that the module of this number defines.
    Item(usize),
}

/// Names that are being looked up: a `use` may lead back to itself.
type Seen = BTreeSet<(usize, String)>;

impl Graph {
    /// Reads the sources of a crate by their paths below the folder of `lib.rs`.
    pub(crate) fn read(texts: &BTreeMap<String, String>) -> Graph {
        let found = Crate::read(texts);
        let mut edges: BTreeMap<(usize, usize), (usize, String)> = BTreeMap::new();
        for (number, module) in found.modules.iter().enumerate() {
            for (path, targets) in found.named_by(number) {
                let line = (path.line, path.segments.join("::"));
                for file in targets.into_iter().map(|target| found.modules[target].file) {
                    if file != module.file {
                        let first = edges.entry((module.file, file)).or_insert_with(|| line.clone());
                        *first = line.clone().min(first.clone());
                    }
                }
            }
        }
        Graph { files: found.files, edges }
    }

    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// The files that `file` imports.
    pub(crate) fn imports_of(&self, file: &str) -> Vec<&str> {
        let edges = self.edges.keys().filter(|(from, _)| self.files[*from] == file);
        edges.map(|(_, to)| self.files[*to].as_str()).collect()
    }

    /// Sets of files that import each other, each file with the lines by which it does.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len()).map(|file| self.reached_from(file)).collect();
        let mut circles: Vec<BTreeSet<usize>> = Vec::new();
        for file in 0..self.files.len() {
            let circle: BTreeSet<usize> =
                reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect();
            if circle.len() > 1 && !circles.contains(&circle) {
                circles.push(circle);
            }
        }
        circles.into_iter().map(|files| self.circle(&files)).collect()
    }

    fn reached_from(&self, file: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next = vec![file];
        while let Some(from) = next.pop() {
            let imported = self.edges.range((from, 0)..(from + 1, 0)).map(|((_, to), _)| *to);
            next.extend(imported.filter(|to| reached.insert(*to)));
        }
        reached
    }

    fn circle(&self, files: &BTreeSet<usize>) -> Circle {
        let within = self.edges.iter().filter(|((from, to), _)| files.contains(from) && files.contains(to));
        let line = |((from, to), (line, path)): (&(usize, usize), &(usize, String))| {
            format!("{}:{line} -> {} by {path}", self.files[*from], self.files[*to])
        };
        Circle {
            files: files.iter().map(|file| self.files[*file].clone()).collect(),
            lines: within.map(line).collect(),
        }
    }
}

/// Files that import each other, directly or over others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) files: Vec<String>,
    /// What makes it: `a.rs:3 -> b.rs by super::b::B`.
    pub(crate) lines: Vec<String>,
}

impl Crate {
    /// Every path in a module with the modules that it leads to.
    fn named_by(&self, module: usize) -> Vec<(&Path, BTreeSet<usize>)> {
        let Module { imports, paths, .. } = &self.modules[module];
        let imported = imports.iter().map(|import| (&import.path, self.imported(module, import)));
        let named = paths.iter().map(|path| (path, self.targets(module, &path.segments)));
        imported.chain(named).collect()
    }

    fn imported(&self, module: usize, import: &Import) -> BTreeSet<usize> {
        let mut targets = self.targets(module, &import.path.segments);
        if import.name.is_none() {
            // Which of the names are used is not looked at.
            let of_all = targets.iter().flat_map(|all| self.modules[*all].imports.iter().map(|import| (*all, import)));
            let behind: BTreeSet<usize> =
                of_all.flat_map(|(all, import)| self.targets(all, &import.path.segments)).collect();
            targets.extend(behind);
        }
        targets
    }

    fn targets(&self, module: usize, path: &[String]) -> BTreeSet<usize> {
        let targets = self.resolve(module, path, &mut Seen::new()).unwrap_or_default();
        targets.into_iter().map(|(Target::Module(of) | Target::Item(of))| of).collect()
    }

    /// What a path in `module` leads to: nothing where that is in another crate, none where it is not known.
    fn resolve(&self, module: usize, path: &[String], seen: &mut Seen) -> Option<BTreeSet<Target>> {
        let (first, rest) = path.split_first()?;
        let parent = |of: usize| self.modules[of].parent;
        let mut targets = match first.as_str() {
            "crate" => BTreeSet::from([Target::Module(0)]),
            "self" => BTreeSet::from([Target::Module(module)]),
            "super" => BTreeSet::from([Target::Module(parent(module))]),
            name => self.look_up(module, name, seen)?,
        };
        for name in rest {
            let mut next = BTreeSet::new();
            for target in targets {
                match target {
                    Target::Module(of) if name == "super" => next.extend([Target::Module(parent(of))]),
                    // What is not found is made by a macro.
                    Target::Module(of) => {
                        next.extend(self.look_up(of, name, seen).unwrap_or_else(|| BTreeSet::from([Target::Item(of)])));
                    }
                    Target::Item(_) => next.extend([target]),
                }
            }
            targets = next;
        }
        Some(targets)
    }

    /// What `name` means in `module`; none if nothing.
    fn look_up(&self, module: usize, name: &str, seen: &mut Seen) -> Option<BTreeSet<Target>> {
        if !seen.insert((module, name.to_owned())) {
            return None;
        }
        let Module { children, items, imports, .. } = &self.modules[module];
        let mut targets: Option<BTreeSet<Target>> = None;
        let mut found = |more: BTreeSet<Target>| targets.get_or_insert_default().extend(more);
        if let Some(children) = children.get(name) {
            found(children.iter().map(|child| Target::Module(*child)).collect());
        }
        if items.contains(name) {
            found(BTreeSet::from([Target::Item(module)]));
        }
        for import in imports.iter().filter(|import| import.name.as_deref() == Some(name)) {
            found(self.resolve(module, &import.path.segments, seen).unwrap_or_default());
        }
        if targets.is_none() {
            for all in imports.iter().filter(|import| import.name.is_none()) {
                let of: Vec<Target> =
                    self.resolve(module, &all.path.segments, seen).unwrap_or_default().into_iter().collect();
                for target in of {
                    let more = match target {
                        Target::Module(of) => self.look_up(of, name, seen),
                        // Variants of an enum.
                        Target::Item(_) => None,
                    };
                    if let Some(more) = more {
                        targets.get_or_insert_default().extend(more);
                    }
                }
            }
        }
        seen.remove(&(module, name.to_owned()));
        targets
    }
}
