//! Two exports that take turns under one name, and the keys that are in both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use waybill::commands::generate::{self, Plan};

/// The second export has one more for this many shipments, so that every reload changes the data.
const SHIPMENTS_PER_ADDED: u64 = 10;

/// Exports in a directory of their own, removed on drop.
#[derive(Debug)]
pub(crate) struct Exports {
    directory: TempDir,
    /// Equal but for the number of shipments: what is in the first is in the second too.
    plans: [Plan; 2],
    turns: AtomicU64,
}

/// A shipment's key, as the file spells it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) tracking_number: String,
    pub(crate) carrier: &'static str,
}

impl Exports {
    /// Has `binary` write both, and serves the first.
    pub(crate) fn generate(binary: &Path, shipments: u64, seed: u64) -> Result<Exports> {
        let more = shipments + shipments / SHIPMENTS_PER_ADDED;
        let plans = [Plan { shipments, seed }, Plan { shipments: more, seed }];
        let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
        let exports = Exports { directory, plans, turns: AtomicU64::new(0) };
        for turn in 0..2 {
            write_export(binary, &plans[turn as usize], &exports.file(turn))?;
        }
        exports.publish(0)?;
        Ok(exports)
    }

    /// The file to serve.
    pub(crate) fn served(&self) -> PathBuf {
        self.directory.path().join("data.csv")
    }

    /// Serves the other export from the next reload on; returns how many shipments it has.
    pub(crate) fn swap(&self) -> Result<u64> {
        let turn = (self.turns.fetch_add(1, Ordering::Relaxed) + 1) % 2;
        self.publish(turn)?;
        Ok(self.plans[turn as usize].shipments)
    }

    /// Any key that is in both exports.
    pub(crate) fn any_key(&self) -> Key {
        let plan = &self.plans[0];
        let shipment = fastrand::u64(..plan.shipments);
        Key { tracking_number: generate::tracking_number(plan, shipment), carrier: generate::carrier(plan, shipment) }
    }

    fn file(&self, turn: u64) -> PathBuf {
        self.directory.path().join(format!("export-{turn}.csv"))
    }

    /// As an export should be published: whole, by a rename.
    fn publish(&self, turn: u64) -> Result<()> {
        let next = self.directory.path().join("next.csv");
        fs::hard_link(self.file(turn), &next)
            .and_then(|()| fs::rename(&next, self.served()))
            .with_context(|| format!("cannot publish {}", next.display()))
    }
}

fn write_export(binary: &Path, plan: &Plan, file: &Path) -> Result<()> {
    let status = Command::new(binary)
        .arg("generate")
        .args(["--shipments", &plan.shipments.to_string(), "--seed", &plan.seed.to_string(), "--output"])
        .arg(file)
        .status()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    if !status.success() {
        bail!("{} generate: {status}", binary.display());
    }
    Ok(())
}
