//! Building a dataset: each loader thread writes the rows of whole blocks through a [`BlockWriter`], in any order of
//! blocks; [`Builder::finish`] puts them in file order.
//!
//! A run of consecutive rows of one shipment becomes one record at once. Nearly always that is the whole shipment. All
//! other cases (a shipment that continues in the next block or elsewhere in the file, a number that several carriers
//! use) show as a collision of fingerprints; `merge` resolves these at the end, in file order.

mod block;
mod encode;
mod facet_values;
mod merge;
mod posting_lists;
mod postings;

pub use block::Conflict;

use std::sync::{Mutex, OnceLock};

use block::{Block, Fragment};
use encode::{Encoder, SharedDictionaries};

use crate::cancel::Cancel;
use crate::dataset::arena::{ALIGNMENT_BYTES, ArenaBuilder, ArenaError, ArenaWriter, Position};
use crate::dataset::index::{Fingerprint, IndexBuilder};
use crate::mutex;
use crate::shard::Shard;
use crate::shipment::{FoldedKey, Row};

/// Smallest content for which huge pages are used: below it they cost more memory than they save time.
const HUGE_PAGES_FROM_BYTES: u64 = 16 << 20;

/// Builder of a dataset, shared by the loader threads.
pub struct Builder {
    dictionaries: SharedDictionaries,
    arena: ArenaBuilder,
    index: OnceLock<IndexBuilder>,
    blocks: Mutex<Vec<Block>>,
    collisions: Mutex<Vec<Fragment>>,
    threads: usize,
    memory_bytes_max: u64,
    shard: Option<Shard>,
    cancel: Cancel,
}

impl Builder {
    /// Creates a builder for about `content_bytes` bytes of CSV, which will finish on `threads` threads.
    pub fn new(content_bytes: u64, threads: usize) -> Builder {
        Builder {
            dictionaries: SharedDictionaries::new(),
            arena: ArenaBuilder::new(content_bytes >= HUGE_PAGES_FROM_BYTES),
            index: OnceLock::new(),
            blocks: Mutex::default(),
            collisions: Mutex::default(),
            threads,
            memory_bytes_max: u64::MAX,
            shard: None,
            cancel: Cancel::default(),
        }
    }

    /// Limits the memory: building fails when the first block shows that the dataset takes more than `bytes` bytes.
    #[must_use]
    pub fn with_memory_max(self, bytes: u64) -> Builder {
        Builder { memory_bytes_max: bytes, ..self }
    }

    /// Leaves out the rows of other shards than `shard`.
    #[must_use]
    pub fn with_shard(self, shard: Option<Shard>) -> Builder {
        Builder { shard, ..self }
    }

    /// Lets `cancel` end [`Builder::finish`] early.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Builder {
        Builder { cancel, ..self }
    }

    /// Creates a writer for one thread.
    pub fn writer(&self) -> BlockWriter<'_> {
        BlockWriter {
            builder: self,
            encoder: Encoder::new(&self.dictionaries),
            arena: ArenaWriter::new(&self.arena),
            open: OpenRun::default(),
            last_line: 0,
            fingerprints: Vec::new(),
            block: Block::default(),
        }
    }

    /// The index. The first block determines its size, since growing would double it.
    fn index_sized_for(
        &self,
        fragments: usize,
        block_bytes: usize,
        content_bytes: u64,
    ) -> Result<&IndexBuilder, ArenaError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let expected = fragments as u128 * u128::from(content_bytes) / block_bytes.max(1) as u128;
        let expected = usize::try_from(expected).unwrap_or(0).max(fragments);
        let records = expected * (ALIGNMENT_BYTES + size_of::<Position>());
        let (needed, max) = (IndexBuilder::bytes_for(expected) + records as u64, self.memory_bytes_max);
        if needed > max {
            return Err(ArenaError::TooMany { needed, max });
        }
        Ok(self.index.get_or_init(|| IndexBuilder::new(expected)))
    }
}

/// Values that all rows of the open run share.
#[derive(Default)]
struct OpenRun {
    text: String,
    ends: [usize; 5],
    /// Lines of its rows; empty before the first row.
    lines: Vec<u32>,
}

impl OpenRun {
    fn begin(&mut self, row: &Row<'_>) {
        self.text.clear();
        let shared = [row.tracking_number, row.carrier, row.status, row.sender_address, row.receiver_address];
        for (value, end) in shared.into_iter().zip(&mut self.ends) {
            self.text.push_str(value);
            *end = self.text.len();
        }
    }

    fn is_continued_by(&self, row: &Row<'_>) -> bool {
        let [number, carrier, status, sender, receiver] = self.ends;
        !self.lines.is_empty()
            && row.continues(&Row {
                tracking_number: &self.text[..number],
                carrier: &self.text[number..carrier],
                status: &self.text[carrier..status],
                sender_address: &self.text[status..sender],
                receiver_address: &self.text[sender..receiver],
                ..Row::default()
            })
    }
}

/// Writer of one thread, which adds blocks of rows.
pub struct BlockWriter<'b> {
    builder: &'b Builder,
    encoder: Encoder<'b>,
    arena: ArenaWriter<'b>,
    open: OpenRun,
    /// Line of the last row in closed runs.
    last_line: u32,
    fingerprints: Vec<Fingerprint>,
    block: Block,
}

impl BlockWriter<'_> {
    /// Adds a row of the current block, whose first line is 0. Returns `false`, and does nothing, if the row belongs to
    /// another shard.
    pub fn row(&mut self, line: u32, row: &Row<'_>) -> Result<bool, ArenaError> {
        if !self.open.is_continued_by(row) {
            let number = FoldedKey::new(row.tracking_number);
            if self.builder.shard.is_some_and(|shard| !shard.has(&number)) {
                return Ok(false);
            }
            self.close_run()?;
            self.open.begin(row);
            self.fingerprints.push(Fingerprint::of(&number));
            let carrier = self.encoder.begin(row);
            if !self.block.carriers.contains(&carrier) {
                self.block.carriers.push(carrier);
            }
        }
        self.encoder.article(row);
        self.open.lines.push(line);
        Ok(true)
    }

    fn close_run(&mut self) -> Result<(), ArenaError> {
        let articles = self.open.lines.len() as u32;
        if articles > 0 {
            let position = self.arena.push(&self.encoder.parts(articles))?;
            self.block.positions.push(position);
            self.block.push_rows(&self.open.lines, &mut self.last_line);
            self.open.lines.clear();
        }
        Ok(())
    }

    /// Ends the current block: the `number`th, of `bytes` bytes out of about `content_bytes`.
    pub fn end_block(&mut self, number: u32, bytes: usize, content_bytes: u64) -> Result<(), ArenaError> {
        self.close_run()?;
        if self.fingerprints.is_empty() {
            return Ok(());
        }
        let index = self.builder.index_sized_for(self.fingerprints.len(), bytes, content_bytes)?;
        let mut collisions = Vec::new();
        for (at, (fingerprint, position)) in self.fingerprints.drain(..).zip(&self.block.positions).enumerate() {
            if !index.insert(fingerprint, *position) {
                collisions.push(Fragment { fingerprint, block: number, at: at as u32 });
            }
        }
        self.last_line = 0;
        let block = self.block.take(number);
        mutex::lock(&self.builder.blocks).push(block);
        mutex::lock(&self.builder.collisions).append(&mut collisions);
        Ok(())
    }
}
