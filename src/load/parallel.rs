//! A load on several threads: each takes block after block, and their results are put together at the end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::Xxh3;

use super::bad_rows::{FirstErrors, Lines, RowError, RowPosition, refusal};
use super::blocks::{self, Block, BlockPosition, BlockReader, IncompleteRecord, RECORD_BYTES_MAX};
use super::columns::Columns;
use super::csv::{Record, RecordParser};
use super::estimate::{SizeEstimate, in_proportion};
use super::options::Options;
use super::report::{FileError, LoadError, Loaded, Progress, Summary};
use super::threads::Threads;
use super::version::version;
use crate::dataset::build::{BuildMemory, Builder, Conflict};
use crate::dataset::{ArenaError, Dataset};
use crate::mutex;
use crate::shard::Shard;
use crate::shipment::Column;
use crate::source::{Compression, Content, SourceError, Stamp};
use crate::thread::lower_thread_priority;

/// Time to the first progress report, early since much memory may be taken at once. It doubles from report to report.
const PROGRESS_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Longest time between two progress reports.
const PROGRESS_INTERVAL_MAX: Duration = Duration::from_millis(50);

/// Reason of a refusal that would otherwise blame a quote or a column.
const LONE_CR: &str =
    "the file's lines end with CR alone, but must end with LF or CRLF; tr '\\r' '\\n' <FILE >NEW converts it";

/// An open file or object.
pub(super) struct Input<'i> {
    /// Path or URL.
    pub(super) name: &'i Path,
    /// Start of the load.
    pub(super) started: Instant,
    /// State of the source.
    pub(super) stamp: Stamp,
    pub(super) content: Content<'i>,
}

/// Loads `input`. `watch` is called with the progress now and then, on this thread.
pub(super) fn load(input: Input<'_>, options: &Options, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
    let Input { name, started, stamp, content } = input;
    let (file_bytes, compression) = (stamp.bytes(), content.compression());
    let parts = options.shard.map_or(1, Shard::count);
    let content_bytes = SizeEstimate::usual(file_bytes, compression);
    let threads = Threads::new(content_bytes, options);
    // Who watches the progress may cancel this load alone.
    let cancel = options.cancel.part();
    let loader = Loader {
        path: name,
        started,
        stamp,
        compression,
        options,
        progress: Progress::new(file_bytes, cancel.clone()),
        threads: threads.count,
        builder: Builder::new(content_bytes / u64::from(parts), threads.count)
            .with_memory(options.memory_bytes_max, threads.bytes_each)
            .with_shard(options.shard)
            .with_status_map(options.status_map.clone())
            .with_cancel(cancel),
        reader: Mutex::new(Reader {
            blocks: BlockReader::new(content, threads.block_bytes, options.delimiter),
            file_bytes,
            position: 0,
            hash: Xxh3::new(),
            bytes: 0,
            pending: None,
            failure: None,
        }),
        block_lines: Mutex::default(),
        bad_rows: Mutex::default(),
        rows_elsewhere: AtomicU64::new(0),
    };
    let header = loader.read_header()?;
    loader.parse_all(&header.columns, watch);
    loader.finish(header, watch)
}

/// Reader of the file, which one thread uses at a time.
struct Reader<'f> {
    blocks: BlockReader<Content<'f>>,
    /// Size of the file.
    file_bytes: u64,
    /// Bytes of the file that were read into blocks.
    position: u64,
    hash: Xxh3,
    /// Bytes of the content that were read.
    bytes: u64,
    /// Block with the header, for the rows after it.
    pending: Option<Block>,
    /// First failure, in file order.
    failure: Option<(RowPosition, Failure)>,
}

impl Reader<'_> {
    fn next_block(&mut self, block: &mut Block) -> io::Result<bool> {
        if let Some(pending) = self.pending.take() {
            *block = pending;
            return Ok(true);
        }
        let is_there = self.blocks.next(block, &mut |bytes| {
            self.hash.update(bytes);
            self.bytes += bytes.len() as u64;
        })?;
        let position = self.blocks.source().position();
        block.file_bytes = position - std::mem::replace(&mut self.position, position);
        block.content_bytes = in_proportion(self.bytes, self.file_bytes, position.max(1));
        Ok(is_there)
    }

    fn fail(&mut self, place: RowPosition, failure: Failure) {
        if self.failure.as_ref().is_none_or(|(first, _)| place < *first) {
            self.failure = Some((place, failure));
        }
    }
}

/// Reason why a load ends early.
enum Failure {
    Read(io::Error),
    TooLarge(ArenaError),
    IncompleteRecord(IncompleteRecord),
}

struct Header {
    columns: Columns,
    ignored_columns: Vec<String>,
    /// Line of the header, from 1.
    line: u64,
    /// It is another one, and a whole one, up to a CR.
    cr_ends_lines: bool,
    /// Block of the header, and the line on which the block starts.
    block: (u32, u64),
}

struct Loader<'l> {
    path: &'l Path,
    started: Instant,
    stamp: Stamp,
    compression: Option<Compression>,
    options: &'l Options,
    progress: Progress,
    threads: usize,
    builder: Builder,
    reader: Mutex<Reader<'l>>,
    /// Number of line breaks in each block.
    block_lines: Mutex<BTreeMap<u32, u64>>,
    bad_rows: Mutex<FirstErrors<RowPosition, RowError>>,
    rows_elsewhere: AtomicU64,
}

impl Loader<'_> {
    fn refused(&self, line: u64, column: Option<&'static str>, reason: impl Into<String>) -> LoadError {
        let error = FileError { line, column, reason: reason.into() };
        LoadError::Refused { path: self.path.to_owned(), summary: error.to_string(), errors: vec![error] }
    }

    fn unreadable(&self, source: io::Error) -> LoadError {
        match source.kind() {
            _ if self.progress.is_stopped() => self.stopped(),
            io::ErrorKind::InvalidData => self.refused(1, None, source.to_string()),
            _ => SourceError::unreadable(self.path, "read", source).into(),
        }
    }

    fn stopped(&self) -> LoadError {
        LoadError::Stopped { path: self.path.to_owned() }
    }

    /// Reads up to the header, and keeps the rest of its block for the threads.
    fn read_header(&self) -> Result<Header, LoadError> {
        let mut parser = RecordParser::new(self.options.delimiter);
        let mut reader = mutex::lock(&self.reader);
        let mut block = Block::default();
        let mut block_line = 1;
        while reader.next_block(&mut block).map_err(|source| self.unreadable(source))? {
            let mut place = BlockPosition::default();
            let Some(record) = parser.next(&block.bytes, &mut place) else {
                block_line += place.lines;
                continue;
            };
            let line = block_line + record.line;
            let cr_ends_lines = self.cr_ends_lines(&block.bytes[place.at - record.raw_bytes..place.at]);
            let explain = |reason: String| if cr_ends_lines { LONE_CR.to_owned() } else { reason };
            if let Some(incomplete) = incomplete_record(&block, &record, place) {
                return Err(self.refused(line, None, explain(incomplete.reason())));
            }
            let (columns, ignored_columns) = Columns::from_header(&record, line, &self.options.columns)
                .map_err(|error| self.refused(error.line, error.column, explain(error.reason)))?;
            block.parsed = place;
            let block_number = block.number;
            reader.pending = Some(block);
            return Ok(Header { columns, ignored_columns, line, cr_ends_lines, block: (block_number, block_line) });
        }
        let names = Column::ALL.map(|column| self.options.columns.get(column)).join(",");
        Err(self.refused(1, None, format!("the file is empty; a header row is expected: {names}")))
    }

    /// Returns whether the record that should be the header is a whole one up to a CR.
    fn cr_ends_lines(&self, header: &[u8]) -> bool {
        let mut parser = RecordParser::new(self.options.delimiter);
        let before = blocks::before_lone_cr(header);
        let record = before.and_then(|header| parser.next(header, &mut BlockPosition::default()));
        record.is_some_and(|record| Columns::from_header(&record, 1, &self.options.columns).is_ok())
    }

    fn parse_all(&self, columns: &Columns, watch: &mut dyn FnMut(&Progress)) {
        std::thread::scope(|scope| {
            let (running, all_done) = mpsc::channel::<()>();
            for _ in 0..self.threads {
                let running = running.clone();
                scope.spawn(move || {
                    lower_thread_priority(self.options.niceness);
                    if let Err((place, failure)) = self.parse_blocks(columns) {
                        mutex::lock(&self.reader).fail(place, failure);
                    }
                    drop(running);
                });
            }
            drop(running);
            let mut interval = PROGRESS_INTERVAL_MIN;
            while all_done.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                watch(&self.progress);
                interval = PROGRESS_INTERVAL_MAX.min(2 * interval);
            }
            watch(&self.progress);
        });
    }

    /// Parses block after block until there are no more: the work of one thread.
    fn parse_blocks(&self, columns: &Columns) -> Result<(), (RowPosition, Failure)> {
        let mut parser = RecordParser::new(self.options.delimiter);
        let mut writer = self.builder.writer();
        self.progress.count_memory(self.builder.memory());
        let mut block = Block::default();
        let (decimal_comma, mut price) = (self.options.decimal_comma, String::new());
        while self.next_block(&mut block)? {
            let mut place = block.parsed;
            let (mut rows, mut rows_elsewhere) = (0, 0);
            while let Some(record) = parser.next(&block.bytes, &mut place) {
                rows += 1;
                let row_place = (block.number, record.line);
                if let Some(incomplete) = incomplete_record(&block, &record, place) {
                    return Err((row_place, Failure::IncompleteRecord(incomplete)));
                }
                match columns.check(&record, decimal_comma, &mut price) {
                    Ok(row) => {
                        let added = writer.row(record.line as u32, &row);
                        let added = added.map_err(|error| (row_place, Failure::TooLarge(error)))?;
                        rows_elsewhere += u64::from(!added);
                    }
                    Err(bad) => mutex::lock(&self.bad_rows).add(row_place, || {
                        let claim = bad.column.and_then(|_| columns.claim(&record));
                        RowError::Own(bad, claim)
                    }),
                }
            }
            writer
                .end_block(block.number, block.bytes.len(), block.content_bytes)
                .map_err(|error| ((block.number, 0), Failure::TooLarge(error)))?;
            mutex::lock(&self.block_lines).insert(block.number, place.lines);
            self.rows_elsewhere.fetch_add(rows_elsewhere, Ordering::Relaxed);
            self.progress.count_memory(self.builder.memory());
            self.progress.add(block.file_bytes, rows - rows_elsewhere);
        }
        Ok(())
    }

    fn next_block(&self, block: &mut Block) -> Result<bool, (RowPosition, Failure)> {
        let mut reader = mutex::lock(&self.reader);
        if reader.failure.is_some() || self.progress.is_stopped() {
            return Ok(false);
        }
        let is_there = reader.next_block(block).map_err(|error| ((u32::MAX, 0), Failure::Read(error)))?;
        if !is_there {
            // The end of compressed data has no content.
            self.progress.add(block.file_bytes, 0);
        }
        Ok(is_there)
    }

    /// Puts the results of the threads together.
    fn finish(self, header: Header, watch: &mut dyn FnMut(&Progress)) -> Result<Loaded, LoadError> {
        let lines = Lines::new(&mutex::lock(&self.block_lines), header.block);
        self.check_ended(&lines)?;
        let (rows, rows_elsewhere) = (self.progress.rows(), self.rows_elsewhere.load(Ordering::Relaxed));
        if rows + rows_elsewhere == 0 {
            let reason = if header.cr_ends_lines { LONE_CR } else { "no rows after the header" };
            return Err(self.refused(header.line, None, reason));
        }
        let final_newline_missing = mutex::lock(&self.reader).blocks.last_byte() != Some(b'\n');
        if final_newline_missing && self.options.require_final_newline {
            return Err(self.refused(lines.last(), None, "the last line has no line break: was the file cut?"));
        }
        let Loader { path, started, stamp, compression, options, progress, builder, reader, bad_rows, .. } = self;
        let Reader { position: file_bytes, hash, bytes: content_bytes, .. } = mutex::into_inner(reader);

        let mut bad_rows = mutex::into_inner(bad_rows);
        let (account, memory) = (builder.account(), builder.memory());
        let dataset = build(builder, &header.columns, &mut bad_rows, &mut |bytes| {
            progress.count_memory(BuildMemory { taken: account.taken_bytes(), ahead: bytes, ..memory });
            watch(&progress);
        });
        let dataset = dataset.map_err(|error| too_large(path, error))?;
        let bad = bad_rows.count();
        let errors = bad_rows.described(&lines, &header.columns, &dataset);
        // A shard may have no shipments; the guards decide on that.
        let has_good_rows = dataset.shipment_count() > 0 || rows_elsewhere > 0;
        if let Some(summary) = refusal(bad, has_good_rows, &errors, options) {
            return Err(LoadError::Refused { path: path.to_owned(), summary, errors });
        }
        let unmapped = options.status_map.as_ref().map(|map| dataset.unmapped(map));
        let summary = Summary {
            rows,
            shard: options.shard,
            rows_elsewhere,
            bad_rows: bad,
            errors,
            unmapped,
            ignored_columns: header.ignored_columns,
            final_newline_missing,
            file_bytes,
            compression,
            content_bytes,
            stamp,
            version: version(hash.digest128(), bad, options),
            seconds: started.elapsed().as_secs_f64(),
            peak_bytes: account.peak_bytes(),
        };
        Ok(Loaded { dataset, summary })
    }

    /// Checks that the threads reached the end of the file.
    fn check_ended(&self, lines: &Lines) -> Result<(), LoadError> {
        let failure = mutex::lock(&self.reader).failure.take();
        match failure {
            Some((_, Failure::Read(source))) => Err(self.unreadable(source)),
            Some((_, Failure::TooLarge(error))) => Err(too_large(self.path, error)),
            Some((place, Failure::IncompleteRecord(incomplete))) => {
                Err(self.refused(lines.at(place), None, incomplete.reason()))
            }
            None if self.progress.is_stopped() => Err(self.stopped()),
            None => Ok(()),
        }
    }
}

/// Finishes the dataset. Rows that contradict their shipment are added to `bad_rows`.
fn build(
    builder: Builder,
    columns: &Columns,
    bad_rows: &mut FirstErrors<RowPosition, RowError>,
    watch: &mut dyn FnMut(u64),
) -> Result<Dataset, ArenaError> {
    let on_conflict = &mut |conflict: Conflict<'_>| {
        let place = (conflict.block, u64::from(conflict.line));
        bad_rows.add(place, || RowError::Contradiction(conflict.column, (conflict.details)()));
    };
    builder.finish(columns.shared(), on_conflict, watch)
}

fn too_large(path: &Path, error: ArenaError) -> LoadError {
    let path = path.to_owned();
    match error {
        ArenaError::Cancelled(_) => LoadError::Stopped { path },
        source => LoadError::TooLarge { path, source },
    }
}

/// Returns why `record`, which ends at `place`, is incomplete, if it is.
fn incomplete_record(block: &Block, record: &Record<'_>, place: BlockPosition) -> Option<IncompleteRecord> {
    let is_last = place.at == block.bytes.len();
    let too_long = (record.raw_bytes > RECORD_BYTES_MAX).then_some(IncompleteRecord::TooLong);
    block.incomplete.filter(|_| is_last).or(too_long)
}
