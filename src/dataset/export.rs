//! Exports: all shipments that match a filter, as CSV or as lines of JSON, rendered part by part with little memory,
//! however many they are.

use super::arena::Position;
use super::csv;
use super::outline::RecordCursor;
use super::record::Record;
use super::records::Records;
use super::search::{Filter, Selection, Sort};

/// Shipments that are selected at a time: selecting takes longer than rendering a few.
const SELECTED_MAX: usize = 1 << 15;
/// Bytes by which a part may be longer than it is to be.
pub const PART_SPARE_BYTES: usize = 4 << 10;

/// Format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// CSV with a header row (RFC 4180), one row for each article.
    Csv,
    /// One line of JSON for each shipment.
    Ndjson,
}

/// An export, and how far it is rendered. Belongs to one dataset.
pub struct Export {
    filter: Filter,
    sort: Sort,
    format: ExportFormat,
    has_begun: bool,
    /// Where the shipments after the selected ones are looked for.
    place: u32,
    /// Positions of some shipments, and how many of them are rendered.
    selected: Vec<Position>,
    rendered: usize,
    /// True if there are none after these.
    is_all_selected: bool,
    /// How far the next shipment is rendered.
    cursor: RecordCursor,
    /// Bytes that are rendered of the piece of it after that: a very long one is split.
    piece_bytes: usize,
}

impl Export {
    /// An export of the shipments that match `filter`.
    pub fn new(filter: Filter, sort: Sort, format: ExportFormat) -> Export {
        Export {
            filter,
            sort,
            format,
            has_begun: false,
            place: 0,
            selected: Vec::new(),
            rendered: 0,
            is_all_selected: false,
            cursor: RecordCursor::default(),
            piece_bytes: 0,
        }
    }

    /// Its format.
    pub fn format(&self) -> ExportFormat {
        self.format
    }

    /// Memory of the export itself, in bytes, once a part is rendered.
    pub fn memory_bytes(&self) -> usize {
        self.selected.capacity() * size_of::<Position>()
    }

    /// Appends the next part to `out`, until that has `bytes_max` bytes or a few more; nothing when all is rendered.
    pub(super) fn render_part<'d>(
        &mut self,
        records: &Records,
        select: impl Fn(&Filter) -> Selection<'d>,
        out: &mut Vec<u8>,
        bytes_max: usize,
    ) {
        if !self.has_begun && self.format == ExportFormat::Csv {
            csv::header(out);
        }
        self.has_begun = true;
        while out.len() < bytes_max {
            if self.rendered == self.selected.len() && !self.is_all_selected {
                (self.selected, self.place) = select(&self.filter).batch(self.sort, self.place, SELECTED_MAX);
                self.rendered = 0;
                self.is_all_selected = self.selected.len() < SELECTED_MAX;
            }
            let Some(position) = self.selected.get(self.rendered) else { break };
            if self.render_shipment(records.record(*position), out, bytes_max) {
                self.rendered += 1;
                self.cursor = RecordCursor::default();
            }
        }
        // What a long piece took is not kept.
        out.shrink_to(bytes_max.saturating_add(PART_SPARE_BYTES));
    }

    /// Appends the next pieces of a shipment. Returns whether they were the last ones.
    fn render_shipment(&mut self, record: Record<'_>, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let long = bytes_max.saturating_add(PART_SPARE_BYTES);
        let (before, len) = (self.cursor, out.len());
        if self.piece_bytes == 0 {
            let is_whole = self.render_pieces(record, out, bytes_max);
            if out.len() <= long {
                return is_whole;
            }
            self.cursor = before;
            out.truncate(len);
        }
        // Piece by piece. One that is split is rendered anew for each part.
        let before = self.cursor;
        let is_whole = self.render_pieces(record, out, len + 1);
        out.drain(len..len + self.piece_bytes);
        if out.len() <= long {
            self.piece_bytes = 0;
            return is_whole;
        }
        self.cursor = before;
        self.piece_bytes += bytes_max - len;
        out.truncate(bytes_max);
        false
    }

    fn render_pieces(&mut self, record: Record<'_>, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        match self.format {
            ExportFormat::Csv => csv::rows(record, &mut self.cursor, out, bytes_max),
            ExportFormat::Ndjson => {
                let is_whole = self.cursor.render(record, out, bytes_max);
                if is_whole {
                    out.push(b'\n');
                }
                is_whole
            }
        }
    }
}
