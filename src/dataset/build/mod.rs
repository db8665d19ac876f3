//! Building a dataset: each loader thread writes the rows of whole blocks through a [`BlockWriter`], in any order of
//! blocks; [`Builder::finish`] puts them in file order.
//!
//! A run of consecutive rows of one shipment becomes one record at once. Nearly always that is the whole shipment. All
//! other cases (a shipment that continues in the next block or elsewhere in the file, a number that several carriers
//! use) show as a collision of fingerprints; `merge` resolves these at the end, in file order. A run that continues a
//! record that can be read already is written without the head, so that rows in any order take little more memory than
//! rows in the best one.

mod account;
mod block;
mod collisions;
mod encode;
mod facet_values;
mod merge;
mod posting_lists;
mod postings;
mod resolve;
mod rewrite;
mod sort;

pub use account::{Account, BuildMemory};
pub use block::{Conflict, ConflictDetails};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use account::Gauge;
use block::{Block, Fragment};
use encode::{Encoder, SharedDictionaries};
use posting_lists::LOW_BYTES;
use sort::ENTRY_BYTES;

use crate::cancel::Cancel;
use crate::dataset::arena::{ALIGNMENT_BYTES, ArenaBuilder, ArenaError, ArenaWriter, Position};
use crate::dataset::index::{Fingerprint, IndexBuilder};
use crate::dataset::search::values::FACETS;
use crate::mutex;
use crate::shard::Shard;
use crate::shipment::{FoldedKey, Row};
use crate::stages::StatusMap;

/// Smallest content for which huge pages are used, for every thread but the first: below it they cost more memory than
/// they save time. The last huge page of each thread is used in part.
const HUGE_PAGES_FROM_BYTES: u64 = 16 << 20;
/// Memory that a writer takes without huge pages, and on average for the last of its huge pages.
const WRITER_BYTES: u64 = 256 << 10;
const HUGE_PAGE_BYTES_LEFT: u64 = 1 << 20;
/// Memory that the end of a build takes for each shipment: its places in the file's order and in that of numbers, and
/// either what is sorted or its ordinals while the postings are found.
const FINISH_SHIPMENT_BYTES: u64 = {
    let (sorted, ordinals) = (ENTRY_BYTES, FACETS * LOW_BYTES);
    (size_of::<Position>() + size_of::<u32>() + if sorted > ordinals { sorted } else { ordinals }) as u64
};

/// Builder of a dataset, shared by the loader threads.
pub struct Builder {
    dictionaries: SharedDictionaries,
    arena: ArenaBuilder,
    index: OnceLock<IndexBuilder>,
    blocks: Mutex<Vec<Block>>,
    collisions: Mutex<Vec<Box<[Fragment]>>>,
    threads: usize,
    input_bytes: u64,
    shard: Option<Shard>,
    cancel: Cancel,
    account: Arc<Account>,
    /// Counts the dictionaries.
    shared: Mutex<Gauge>,
    /// Number of records so far.
    records: AtomicU64,
    /// Memory that the writers have taken for themselves.
    writers_bytes: AtomicU64,
    index_bytes: AtomicU64,
}

impl Builder {
    /// Creates a builder for about `content_bytes` bytes of CSV, which will finish on `threads` threads.
    pub fn new(content_bytes: u64, threads: usize) -> Builder {
        Builder {
            dictionaries: SharedDictionaries::new(None),
            arena: ArenaBuilder::new(
                content_bytes >= HUGE_PAGES_FROM_BYTES * (threads as u64).saturating_sub(1).max(1),
            ),
            index: OnceLock::new(),
            blocks: Mutex::default(),
            collisions: Mutex::default(),
            threads,
            input_bytes: 0,
            shard: None,
            cancel: Cancel::default(),
            account: Arc::new(Account::new(u64::MAX)),
            shared: Mutex::default(),
            records: AtomicU64::new(0),
            writers_bytes: AtomicU64::new(0),
            index_bytes: AtomicU64::new(0),
        }
    }

    /// Limits the memory: building fails as soon as it is clear that it takes more than `bytes` bytes. Of them each
    /// writer takes `input_bytes` for what it is given.
    #[must_use]
    pub fn with_memory(self, bytes: u64, input_bytes: u64) -> Builder {
        Builder { account: Arc::new(Account::new(bytes)), input_bytes, ..self }
    }

    /// The memory of the build.
    pub fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }

    /// Memory so far.
    pub fn memory(&self) -> BuildMemory {
        BuildMemory {
            taken: self.account.taken_bytes(),
            fixed: self.writers_bytes.load(Ordering::Relaxed) + self.index_bytes.load(Ordering::Relaxed),
            ahead: self.finish_bytes(),
        }
    }

    /// Memory that [`Builder::finish`] takes at least, on top of what is taken already.
    fn finish_bytes(&self) -> u64 {
        self.records.load(Ordering::Relaxed) * FINISH_SHIPMENT_BYTES
    }

    /// Leaves out the rows of other shards than `shard`.
    #[must_use]
    pub fn with_shard(self, shard: Option<Shard>) -> Builder {
        Builder { shard, ..self }
    }

    /// Gives each shipment the stage that `status_map` has for its status.
    #[must_use]
    pub fn with_status_map(self, status_map: Option<Arc<StatusMap>>) -> Builder {
        Builder { dictionaries: SharedDictionaries::new(status_map), ..self }
    }

    /// Lets `cancel` end [`Builder::finish`] early.
    #[must_use]
    pub fn with_cancel(self, cancel: Cancel) -> Builder {
        Builder { cancel, ..self }
    }

    /// Creates a writer for one thread.
    pub fn writer(&self) -> BlockWriter<'_> {
        let of_pages = if self.arena.huge_pages() { HUGE_PAGE_BYTES_LEFT } else { 0 };
        let bytes = WRITER_BYTES + of_pages + self.input_bytes;
        self.writers_bytes.fetch_add(bytes, Ordering::Relaxed);
        // The first block fails if that is too much.
        let _ = self.account.take(bytes);
        BlockWriter {
            builder: self,
            gauge: Gauge::default(),
            stored_bytes: 0,
            continued: 0,
            encoder: Encoder::new(&self.dictionaries, self.threads),
            arena: ArenaWriter::new(&self.arena),
            open: OpenRun::default(),
            last_line: 0,
            unindexed: Vec::new(),
            collisions: Vec::new(),
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
        let index_bytes = IndexBuilder::bytes_for(expected);
        self.account.check(index_bytes + records as u64)?;
        let index = self.index.get_or_init(|| {
            // What is too much was refused before.
            let _ = self.account.take(index_bytes);
            self.index_bytes.store(index_bytes, Ordering::Relaxed);
            IndexBuilder::new(expected)
        });
        Ok(index)
    }
}

/// Values that all rows of the open run share.
#[derive(Default)]
struct OpenRun {
    text: String,
    ends: [usize; 5],
    fingerprint: Fingerprint,
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
    /// Counts what it takes.
    gauge: Gauge,
    /// Size of the blocks that it has ended.
    stored_bytes: usize,
    /// Number of runs of the block that continue records.
    continued: usize,
    encoder: Encoder<'b>,
    arena: ArenaWriter<'b>,
    open: OpenRun,
    /// Line of the last row in closed runs.
    last_line: u32,
    /// Fingerprints of the block's first fragments, which were written before there was an index.
    unindexed: Vec<Fingerprint>,
    /// Fragments of the block that collided.
    collisions: Vec<Fragment>,
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
            self.open.fingerprint = Fingerprint::of(&number);
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
        if articles == 0 {
            return Ok(());
        }
        let (encoder, arena) = (&mut self.encoder, &mut self.arena);
        let position = match self.builder.index.get() {
            Some(index) => {
                let fingerprint = self.open.fingerprint;
                let continued = &mut self.continued;
                let (position, is_first) = index.insert(fingerprint, |earlier| {
                    let (position, has_no_head) = encoder.write(articles, earlier, arena)?;
                    *continued += usize::from(has_no_head);
                    Ok::<_, ArenaError>(position)
                })?;
                if !is_first {
                    let at = self.block.positions.len() as u32;
                    self.collisions.push(Fragment { fingerprint, block: 0, at });
                }
                position
            }
            None => {
                self.unindexed.push(self.open.fingerprint);
                encoder.write(articles, None, arena)?.0
            }
        };
        self.block.positions.push(position);
        self.block.push_rows(&self.open.lines, &mut self.last_line);
        self.open.lines.clear();
        Ok(())
    }

    /// Ends the current block: the `number`th, of `bytes` bytes out of about `content_bytes`.
    pub fn end_block(&mut self, number: u32, bytes: usize, content_bytes: u64) -> Result<(), ArenaError> {
        self.close_run()?;
        if self.block.positions.is_empty() {
            return Ok(());
        }
        let index = self.builder.index_sized_for(self.block.positions.len(), bytes, content_bytes)?;
        for (at, (fingerprint, position)) in self.unindexed.drain(..).zip(&self.block.positions).enumerate() {
            let (_, is_first) = index.insert(fingerprint, |_| Ok::<_, ArenaError>(*position))?;
            if !is_first {
                self.collisions.push(Fragment { fingerprint, block: 0, at: at as u32 });
            }
        }
        self.last_line = 0;
        let block = self.block.take(number);
        let collisions: Box<[Fragment]> =
            self.collisions.drain(..).map(|collision| Fragment { block: number, ..collision }).collect();
        let records = block.positions.len() - std::mem::take(&mut self.continued);
        self.stored_bytes += block.bytes() + size_of_val(&collisions[..]);
        mutex::lock(&self.builder.blocks).push(block);
        if !collisions.is_empty() {
            mutex::lock(&self.builder.collisions).push(collisions);
        }
        self.count(records as u64)
    }

    /// Counts the memory, after so many more records.
    fn count(&mut self, records: u64) -> Result<(), ArenaError> {
        let Builder { account, shared, dictionaries, .. } = self.builder;
        self.builder.records.fetch_add(records, Ordering::Relaxed);
        self.gauge.set(self.stored_bytes + self.arena.used_bytes() + self.encoder.bytes(), account)?;
        mutex::lock(shared).set(dictionaries.bytes(), account)?;
        account.check(self.builder.finish_bytes())
    }
}
