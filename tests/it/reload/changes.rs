//! What changed since earlier versions, against a model: maps over all files that were served.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use waybill::changes::{ChangeFilter, ChangeQuery, ChangesLimits, Kind};
use waybill::load::Options;
use waybill::reload::{ReloadError, ReloadSettings, Reloader, Report, Request};
use waybill::shipment::FoldedKey;
use waybill::store::Store;

use crate::support::csv;

/// Replaced versions that are kept.
const VERSIONS_MAX: usize = 4;
const REMOVED_PERCENT_MAX: f64 = 50.0;
const STATUSES: [&str; 3] = ["scanned", "in \"transit\" \\", ""];

/// A shipment of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shipment {
    number: u8,
    carrier: u8,
    is_number_upper: bool,
    is_carrier_upper: bool,
    status: u8,
    sender: u8,
    receiver: u8,
    articles: u8,
}

type File = Vec<Shipment>;

impl Shipment {
    fn key(&self) -> (u8, u8) {
        (self.number, self.carrier)
    }

    fn spelt_number(&self) -> String {
        spelt(&format!("tn\u{e9}{}", self.number), self.is_number_upper)
    }

    fn spelt_carrier(&self) -> String {
        spelt(&format!("c{}", self.carrier), self.is_carrier_upper)
    }

    fn status(&self) -> &'static str {
        STATUSES[usize::from(self.status)]
    }

    fn rows(&self) -> impl Iterator<Item = String> {
        let status = format!("\"{}\"", self.status().replace('"', "\"\""));
        let (number, carrier) = (self.spelt_number(), self.spelt_carrier());
        let addresses = format!("\"Street {}, 1 A, B\",\"Street {}, 1 A, B\"", self.sender, self.receiver);
        // One, two, and one that is another.
        let articles = if self.articles == 2 { 2..3 } else { 0..self.articles + 1 };
        articles.map(move |article| format!("{number},{carrier},{addresses},Laptop,{article},1.50,SKU,{status}"))
    }

    /// Names of the members that differ, in wire order.
    fn differing(&self, other: &Shipment) -> Vec<&'static str> {
        let members = [
            ("tracking_number", self.is_number_upper != other.is_number_upper),
            ("carrier", self.is_carrier_upper != other.is_carrier_upper),
            ("status", self.status != other.status),
            ("sender_address", self.sender != other.sender),
            ("receiver_address", self.receiver != other.receiver),
            ("articles", self.articles != other.articles),
        ];
        members.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

fn spelt(text: &str, is_upper: bool) -> String {
    if is_upper { text.to_uppercase() } else { text.to_owned() }
}

/// A way to another file.
#[derive(Clone, Debug)]
enum Edit {
    Put(Shipment),
    Remove(Index),
    Move(Index, Index),
}

#[derive(Clone, Debug)]
enum Action {
    /// An export: a file that was served before, edited.
    Export {
        from: Index,
        edits: Vec<Edit>,
        force: bool,
        dry_run: bool,
    },
    /// One with a bad row.
    BadExport,
    RollBack,
}

fn shipment() -> impl Strategy<Value = Shipment> {
    let spelling = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    ((0..6_u8, 0..3_u8), spelling, (0..3_u8, 0..2_u8, 0..2_u8, 0..3_u8)).prop_map(|(key, upper, rest)| Shipment {
        number: key.0,
        carrier: key.1,
        is_number_upper: upper.0,
        is_carrier_upper: upper.1,
        status: rest.0,
        sender: rest.1,
        receiver: rest.2,
        articles: rest.3,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let edit = prop_oneof![
        4 => shipment().prop_map(Edit::Put),
        3 => any::<Index>().prop_map(Edit::Remove),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Edit::Move(from, to)),
    ];
    let export = (any::<Index>(), prop::collection::vec(edit, 0..6), any::<bool>(), prop::bool::weighted(0.1));
    let export = export.prop_map(|(from, edits, force, dry_run)| Action::Export { from, edits, force, dry_run });
    prop_oneof![8 => export, 1 => Just(Action::BadExport), 2 => Just(Action::RollBack)]
}

fn edited(mut file: File, edits: &[Edit]) -> File {
    for edit in edits {
        match edit {
            Edit::Put(shipment) => match file.iter().position(|other| other.key() == shipment.key()) {
                Some(at) => file[at] = shipment.clone(),
                None => file.push(shipment.clone()),
            },
            Edit::Remove(at) if !file.is_empty() => drop(file.remove(at.index(file.len()))),
            Edit::Move(from, to) if !file.is_empty() => {
                let shipment = file.remove(from.index(file.len()));
                file.insert(to.index(file.len() + 1), shipment);
            }
            _ => {}
        }
    }
    file
}

fn replace(data: &Path, file: &File) {
    let rows: Vec<String> = file.iter().flat_map(Shipment::rows).collect();
    let next = data.with_extension("next");
    fs::write(&next, csv(&rows)).unwrap();
    fs::rename(next, data).unwrap();
}

/// All that was served, and what would be served after a rollback.
struct Model {
    served: Vec<(String, File)>,
    previous: Option<(String, File)>,
}

impl Model {
    fn current(&self) -> &(String, File) {
        self.served.last().unwrap()
    }

    fn publish(&mut self, version: String, file: File) {
        self.previous = self.served.last().cloned();
        self.served.push((version, file));
    }

    /// The net difference from the file at `since` to the current one.
    fn net(&self, since: usize) -> Vec<Value> {
        let old: BTreeMap<_, _> =
            self.served[since].1.iter().map(|shipment| (shipment.key(), shipment.clone())).collect();
        let mut changes = Vec::new();
        for now in &self.current().1 {
            let named = |kind, previous: Option<&str>| {
                json!({"kind": kind, "carrier": now.spelt_carrier(), "tracking_number": now.spelt_number(),
                    "status": now.status(), "previous_status": previous})
            };
            match old.get(&now.key()) {
                None => changes.push(named("added", None)),
                Some(before) if before != now => {
                    let mut change = named("changed", Some(before.status()));
                    change["fields"] = json!(now.differing(before));
                    changes.push(change);
                }
                Some(_) => {}
            }
        }
        let is_there: BTreeSet<_> = self.current().1.iter().map(Shipment::key).collect();
        for step in since + 1..self.served.len() {
            for last in &self.served[step - 1].1 {
                let key = last.key();
                let is_in = |at: usize| self.served[at].1.iter().any(|other| other.key() == key);
                let went_for_good = !is_there.contains(&key) && (step..self.served.len()).all(|at| !is_in(at));
                if let Some(before) = old.get(&key).filter(|_| went_for_good) {
                    changes.push(json!({"kind": "removed", "carrier": last.spelt_carrier(),
                        "tracking_number": last.spelt_number(), "status": null, "previous_status": before.status()}));
                }
            }
        }
        changes
    }
}

/// The engine.
struct Engine {
    store: Arc<Store>,
    reloader: Reloader,
    runtime: Runtime,
}

impl Engine {
    fn serving(data: &Path, bytes_max: usize) -> Engine {
        let settings = ReloadSettings {
            removed_percent_max: REMOVED_PERCENT_MAX,
            keep_previous: true,
            changes: Some(ChangesLimits { versions_max: VERSIONS_MAX, bytes_max }),
            load: Options { threads: 1, block_bytes: 4 << 10, ..Options::default() },
            ..ReloadSettings::new(data.to_owned())
        };
        let store = Arc::new(Store::default());
        let (reloader, first) = Reloader::start(settings, Arc::clone(&store), Box::new(|_| ())).unwrap();
        assert!(first.blocking_recv().unwrap().is_ok());
        Engine { store, reloader, runtime: Builder::new_current_thread().build().unwrap() }
    }

    fn version(&self) -> String {
        self.store.load().as_ref().unwrap().summary.version.clone()
    }

    /// What changed since `version`, page by page; `None` if that is not known.
    fn since(&self, version: &str, filter: &ChangeFilter, limit: usize) -> Option<Vec<Value>> {
        let (snapshot, log) = self.store.with_changes().unwrap();
        let first_step = log.first_step_since(version, &snapshot.summary.version)?;
        let mut all = Vec::new();
        loop {
            let query = ChangeQuery { filter: filter.clone(), offset: all.len() as u64, limit };
            let page = log.page(first_step, &snapshot.dataset, &query);
            let rendered = page.changes.iter().map(|change| {
                let mut out = Vec::new();
                change.render(&mut out);
                serde_json::from_slice::<Value>(&out).unwrap()
            });
            all.extend(rendered);
            if page.changes.is_empty() {
                assert_eq!(page.count, all.len() as u64);
                return Some(all);
            }
        }
    }
}

/// Compares all versions that there ever were.
fn check(model: &Model, engine: &Engine, bytes_max: usize, limit: usize) -> Result<(), TestCaseError> {
    let (snapshot, log) = engine.store.with_changes().unwrap();
    let (current, _) = model.current();
    prop_assert_eq!(&snapshot.summary.version, current);
    let last = model.served.len() - 1;
    prop_assert!(log.bytes() <= bytes_max && log.versions() <= VERSIONS_MAX);
    if bytes_max == usize::MAX {
        prop_assert_eq!(log.versions(), last.min(VERSIONS_MAX));
    }
    let everything = ChangeFilter::default();
    for (version, _) in &model.served {
        let found = engine.since(version, &everything, limit);
        let kept = last - log.versions()..last;
        let expected = if version == current {
            Some(Vec::new())
        } else {
            kept.rev().find(|at| model.served[*at].0 == *version).map(|at| model.net(at))
        };
        prop_assert_eq!(&found, &expected);
        let Some(expected) = expected else { continue };
        let of_carrier = |change: &&Value| change["carrier"].as_str().unwrap().to_lowercase() == "c1";
        let filter = ChangeFilter { carriers: [FoldedKey::new(" C1")].into(), ..ChangeFilter::default() };
        let few: Vec<Value> = expected.iter().filter(of_carrier).cloned().collect();
        prop_assert_eq!(engine.since(version, &filter, limit), Some(few));
        let is_one = |change: &&Value| change["kind"] != "changed" && change["status"] == "scanned";
        let (kinds, statuses) = (vec![Kind::Added, Kind::Removed], [FoldedKey::new("SCANNED")].into());
        let filter = ChangeFilter { kinds, statuses, ..ChangeFilter::default() };
        let few: Vec<Value> = expected.iter().filter(is_one).cloned().collect();
        prop_assert_eq!(engine.since(version, &filter, limit), Some(few));
    }
    prop_assert_eq!(engine.since("another", &everything, limit), None);
    Ok(())
}

/// Does what `action` says. Returns what is served then, if it is something new.
fn act(action: &Action, data: &Path, model: &Model, engine: &Engine) -> Result<Option<File>, TestCaseError> {
    let request = |force, dry_run| engine.runtime.block_on(engine.reloader.reload(Request { force, dry_run }));
    match action {
        Action::Export { from, edits, force, dry_run } => {
            let file = edited(model.served[from.index(model.served.len())].1.clone(), edits);
            replace(data, &file);
            let outcome = request(*force, *dry_run);
            let served = &model.current().1;
            let is_in = |other: &Shipment| file.iter().any(|shipment| shipment.key() == other.key());
            let removed = served.iter().filter(|other| !is_in(other)).count();
            let are_too_many = removed as f64 * 100.0 > REMOVED_PERCENT_MAX * served.len() as f64;
            match outcome.as_ref() {
                Ok(Report::Unchanged { .. }) => prop_assert_eq!(&file, served),
                Ok(Report::Published { changes, .. }) => {
                    prop_assert_eq!(changes.removed, removed as u64);
                    return Ok(Some(file).filter(|_| !dry_run));
                }
                Err(ReloadError::TooManyRemoved { .. }) => prop_assert!(are_too_many && !force),
                Err(_) => prop_assert!(file.is_empty()),
            }
        }
        Action::BadExport => {
            fs::write(data, csv(&["TN1,DHL,from,to,Laptop,x,1,SKU,scanned"])).unwrap();
            prop_assert!(request(true, false).is_err());
        }
        Action::RollBack => {
            let outcome = engine.runtime.block_on(engine.reloader.roll_back());
            prop_assert_eq!(outcome.is_ok(), model.previous.is_some());
            return Ok(model.previous.as_ref().map(|(_, file)| file.clone()));
        }
    }
    Ok(None)
}

/// A hundred sequences, more with `PROPTEST_CASES` above its 256.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases * 100 / 256, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn net_changes_are_those_of_the_files_whatever_was_served_in_between(
        first in prop::collection::vec(shipment(), 1..12),
        actions in prop::collection::vec(action(), 1..12),
        bytes_max in prop_oneof![2 => Just(usize::MAX), 1 => 300..3000_usize],
        limit in 1..8_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data.csv");
        let file = edited(File::new(), &first.into_iter().map(Edit::Put).collect::<Vec<_>>());
        replace(&data, &file);
        let engine = Engine::serving(&data, bytes_max);
        let mut model = Model { served: vec![(engine.version(), file)], previous: None };
        check(&model, &engine, bytes_max, limit)?;
        for action in &actions {
            if let Some(file) = act(action, &data, &model, &engine)? {
                model.publish(engine.version(), file);
            }
            check(&model, &engine, bytes_max, limit)?;
        }
    }
}
