//! Status maps: the stage of each status, for all carriers or for one of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use xxhash_rust::xxh3::xxh3_128;

use super::stage::Stage;
use crate::shipment::FoldedKey;
use crate::similar;

/// Most carriers with tables of their own.
const CARRIERS_MAX: usize = 10_000;
/// Table of the statuses of all carriers.
const DEFAULT: &str = "default";
/// Table of the tables of single carriers.
const CARRIER: &str = "carrier";

/// An error on a line, from 1.
pub(super) type LineError = (usize, String);

type Stages = HashMap<FoldedKey, Stage, foldhash::fast::FixedState>;

/// Stages of statuses. Statuses and carriers match folded.
#[derive(Clone, Debug)]
pub struct StatusMap {
    name: PathBuf,
    /// Numbers of the carriers' tables.
    tables_by_carrier: HashMap<FoldedKey, u32, foldhash::fast::FixedState>,
    /// The first table is that of all carriers.
    tables: Vec<Stages>,
    hash: u128,
}

impl StatusMap {
    /// Parses the text of the map `name`: TOML, with a table `[default]`, and a table such as `[carrier.DHL]` for each carrier that
    /// needs one, of statuses and their stages.
    pub(super) fn parse(text: &str, name: PathBuf) -> Result<StatusMap, LineError> {
        let parser = Parser { text };
        let document = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let at = text.get(span.clone()).filter(|at| !at.trim().is_empty()).map(|at| format!(": {at:?}"));
            (parser.line(span.start), format!("{}{}", error.message(), at.unwrap_or_default()))
        })?;
        let mut map =
            StatusMap { name, tables_by_carrier: HashMap::default(), tables: vec![Stages::default()], hash: 0 };
        for (key, value) in in_order(document.get_ref()) {
            match key.get_ref().as_ref() {
                DEFAULT => parser.add_stages(value, DEFAULT, &mut map.tables[0])?,
                CARRIER => {
                    for (carrier, value) in in_order(parser.table(value, CARRIER)?) {
                        let table = map.table_for(carrier.get_ref()).map_err(|reason| parser.error(carrier, reason))?;
                        parser.add_stages(value, carrier.get_ref(), &mut map.tables[table])?;
                    }
                }
                other => {
                    let reason = format!("unknown table {other:?}; expected [{DEFAULT}] or [{CARRIER}.NAME]");
                    return Err(parser.error(key, reason));
                }
            }
        }
        if map.tables.iter().all(HashMap::is_empty) {
            return Err((1, "no status has a stage".to_owned()));
        }
        map.hash = map.canonical_hash();
        Ok(map)
    }

    /// Its value on the command line.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Hash of the statuses and their stages, whatever their order, their spelling and what else is in the file.
    pub fn hash(&self) -> u128 {
        self.hash
    }

    /// Number of the table that has the statuses of `carrier` first.
    #[inline]
    pub(crate) fn table(&self, carrier: &str) -> u32 {
        if self.tables_by_carrier.is_empty() {
            return 0;
        }
        self.tables_by_carrier.get(&FoldedKey::new(carrier)).copied().unwrap_or(0)
    }

    /// Stage of a status by the table with this number; `None` if neither that table nor the one of all carriers has it.
    pub(crate) fn stage_in(&self, table: u32, status: &str) -> Option<Stage> {
        let status = FoldedKey::new(status);
        let own = self.tables.get(table as usize).and_then(|stages| stages.get(&status));
        own.or_else(|| self.tables[0].get(&status)).copied()
    }

    /// Stage of a status of `carrier`; `None` if the map does not have it.
    pub fn stage(&self, carrier: &str, status: &str) -> Option<Stage> {
        self.stage_in(self.table(carrier), status)
    }

    /// The index of a carrier's table, which is created if it is not there.
    fn table_for(&mut self, carrier: &str) -> Result<usize, String> {
        let folded = FoldedKey::new(carrier);
        if folded.is_empty() {
            return Err("the name of the carrier is empty".to_owned());
        }
        if self.tables_by_carrier.len() == CARRIERS_MAX {
            return Err(format!("more than {CARRIERS_MAX} carriers"));
        }
        let next = self.tables.len();
        let table = *self.tables_by_carrier.entry(folded).or_insert(next as u32) as usize;
        if table == next {
            self.tables.push(Stages::default());
        }
        Ok(table)
    }

    fn canonical_hash(&self) -> u128 {
        let text = |key: &FoldedKey| String::from_utf8_lossy(key.as_bytes()).into_owned();
        let of_carriers = self.tables_by_carrier.iter().map(|(carrier, table)| (text(carrier), *table));
        // A carrier is never empty.
        let tables: BTreeMap<String, u32> = of_carriers.chain([(String::new(), 0)]).collect();
        let mut canonical = String::new();
        for (carrier, table) in tables {
            let stages = &self.tables[table as usize];
            let sorted: BTreeMap<String, Stage> = stages.iter().map(|(status, stage)| (text(status), *stage)).collect();
            for (status, stage) in sorted {
                // Writing to a String cannot fail.
                let _ = writeln!(canonical, "{carrier:?} {status:?} {}", stage.name());
            }
        }
        xxh3_128(canonical.as_bytes())
    }
}

struct Parser<'t> {
    text: &'t str,
}

type Entry<'e, 't> = (&'e Spanned<DeString<'t>>, &'e Spanned<DeValue<'t>>);

impl<'t> Parser<'t> {
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    fn error<T>(&self, at: &Spanned<T>, reason: String) -> LineError {
        (self.line(at.span().start), reason)
    }

    fn table<'e>(&self, value: &'e Spanned<DeValue<'t>>, name: &str) -> Result<&'e DeTable<'t>, LineError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            other => {
                Err(self.error(value, format!("{name}: expected a table, got a value of type {}", other.type_str())))
            }
        }
    }

    /// Adds the statuses of a table.
    fn add_stages(&self, value: &Spanned<DeValue<'t>>, name: &str, stages: &mut Stages) -> Result<(), LineError> {
        for (status, value) in in_order(self.table(value, name)?) {
            let stage = stage(value.get_ref()).map_err(|reason| {
                let status: &str = status.get_ref();
                self.error(value, format!("{status:?}: {reason}"))
            })?;
            let before = stages.insert(FoldedKey::new(status.get_ref()), stage);
            if let Some(before) = before.filter(|before| *before != stage) {
                let (status, before): (&str, _) = (status.get_ref(), before.name());
                let reason =
                    format!("{status:?} is {}, but {before} on a line before, spelled otherwise", stage.name());
                return Err(self.error(value, reason));
            }
        }
        Ok(())
    }
}

/// Entries of a table, in the order of the text, so that the first error is named.
fn in_order<'e, 't>(table: &'e DeTable<'t>) -> Vec<Entry<'e, 't>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn stage(value: &DeValue<'_>) -> Result<Stage, String> {
    let names = || Stage::ALL.map(Stage::name);
    let DeValue::String(name) = value else {
        return Err(format!("expected the name of a stage, got a value of type {}", value.type_str()));
    };
    Stage::from_name(name).ok_or_else(|| match similar::nearest(name, names()) {
        Some(meant) => format!("no such stage: {name:?}; did you mean {meant:?}?"),
        None => format!("no such stage: {name:?}; there are {}", names().join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StatusMap, LineError> {
        StatusMap::parse(text, PathBuf::new())
    }

    #[test]
    fn a_carriers_own_table_comes_first_and_everything_matches_folded() {
        let text = "[default]\n'In Transit' = 'in_transit'\nD = 'delivered'\n[carrier.DHL]\nd = 'exception'\n[carrier.'Ä B']\n";
        let map = parse(text).unwrap();
        for (carrier, status, stage) in [
            ("UPS", " in transit\u{a0}", Some(Stage::InTransit)),
            ("dhl", "IN TRANSIT", Some(Stage::InTransit)),
            (" Dhl ", "D", Some(Stage::Exception)),
            ("ä b", "d", Some(Stage::Delivered)),
            ("DHL", "in-transit", None),
            ("DHL", "", None),
        ] {
            assert_eq!(map.stage(carrier, status), stage, "{carrier} {status}");
        }
    }

    #[test]
    fn an_empty_status_may_have_a_stage() {
        assert_eq!(parse("default.'' = 'pre_transit'").unwrap().stage("x", " "), Some(Stage::PreTransit));
    }

    #[test]
    fn an_error_has_its_line_and_what_is_expected() {
        for (text, line, reason) in [
            ("", 1, "no status has a stage"),
            ("# none\n[default]\n[carrier.DHL]\n", 1, "no status has a stage"),
            (
                "[default]\na = 'delivered'\nb = 'deliverd'\n",
                3,
                r#""b": no such stage: "deliverd"; did you mean "delivered"?"#,
            ),
            ("[default]\n\na = 1", 3, r#""a": expected the name of a stage, got a value of type integer"#),
            ("[default]\na.b = 'delivered'", 2, r#""a": expected the name of a stage, got a value of type table"#),
            ("\n[defaults]\na = 'delivered'", 2, r#"unknown table "defaults"; expected [default] or [carrier.NAME]"#),
            ("default = 1", 1, "default: expected a table, got a value of type integer"),
            ("[carrier]\nDHL = 'delivered'", 2, "DHL: expected a table, got a value of type string"),
            ("[carrier.' ']\na = 'delivered'", 1, "the name of the carrier is empty"),
            (
                "[default]\na = 'delivered'\nA = 'exception'",
                3,
                r#""A" is exception, but delivered on a line before, spelled otherwise"#,
            ),
            ("[default]\na = 'delivered'\na = 'delivered'", 3, "duplicate key: \"a\""),
        ] {
            assert_eq!(parse(text).unwrap_err(), (line, reason.to_owned()), "{text}");
        }
        assert!(matches!(parse("[default]\na = "), Err((2, _))) && matches!(parse("\n[default"), Err((2, _))));
        let (line, reason) = parse("[default]\na = 'zzz'").unwrap_err();
        assert!(line == 2 && reason.ends_with("exception, cancelled, unknown"), "{reason}");
    }

    #[test]
    fn a_status_may_be_there_in_several_spellings_that_agree() {
        assert!(
            parse("[default]\na = 'delivered'\nA = 'delivered'\n[carrier.x]\nb='unknown'\n[carrier.X]\nb='unknown'")
                .is_ok()
        );
    }

    #[test]
    fn the_hash_is_that_of_what_the_map_says() {
        let hash = |text| parse(text).unwrap().hash();
        let plain = hash("[default]\na = 'delivered'\nb = 'exception'\n[carrier.DHL]\na = 'unknown'");
        assert_eq!(plain, hash("# x\n[carrier.dhl]\nA = 'unknown'\n[default]\nb = 'exception'\n' A' = 'delivered'"));
        for other in [
            "[default]\na = 'delivered'\nb = 'delivered'\n[carrier.DHL]\na = 'unknown'",
            "[default]\na = 'delivered'\nb = 'exception'\n[carrier.UPS]\na = 'unknown'",
            "[default]\na = 'delivered'\nb = 'exception'",
        ] {
            assert_ne!(plain, hash(other), "{other}");
        }
    }

    #[test]
    fn there_are_no_more_carriers_than_may_be() {
        let table = |at: usize| format!("[carrier.c{at}]\na='unknown'\n");
        let text = |carriers: usize| (0..carriers).map(table).collect::<Vec<_>>().concat();
        assert!(parse(&text(CARRIERS_MAX)).is_ok());
        let error = parse(&text(CARRIERS_MAX + 1)).unwrap_err();
        assert_eq!(error, (2 * CARRIERS_MAX + 1, "more than 10000 carriers".to_owned()));
    }
}
