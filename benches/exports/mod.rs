//! Generated exports for the benches.

use std::io::{BufWriter, Write};

use tempfile::NamedTempFile;
use waybill::commands::generate::{self, Plan};

/// Returns whether each bench runs only once, as a test, so that small data are enough.
pub(crate) fn is_test_run() -> bool {
    let is_given = |flag: &str| std::env::args().any(|argument| argument == flag);
    is_given("--test") || !is_given("--bench")
}

/// Generates a file of so many shipments. Returns it with its plan.
pub(crate) fn export(shipments: u64) -> (Plan, NamedTempFile) {
    let plan = Plan { shipments, seed: 1 };
    let mut file = NamedTempFile::new().unwrap();
    let mut buffered = BufWriter::new(&mut file);
    generate::write(&plan, &mut buffered).unwrap();
    buffered.flush().unwrap();
    drop(buffered);
    (plan, file)
}
