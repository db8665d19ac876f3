//! Outlines of long JSON: its text and the shipments between, so that its size is known before it is rendered, and it
//! can be rendered part by part, with little memory for each.

use xxhash_rust::xxh3::xxh3_64;

use super::arena::Position;
use super::output::{Output, Sink};
use super::record::{AFTER_ARTICLES, Record};
use super::records::Records;
use super::view::View;

/// Spare capacity, so that rendering can copy in chunks.
const SPARE_BYTES: usize = 4 << 10;

/// JSON that consists of text and shipments. Belongs to the dataset that its shipments are from.
pub struct Outline {
    limits: OutlineLimits,
    articles: u64,
    text: Vec<u8>,
    /// End of the text that pieces refer to.
    text_end: usize,
    pieces: Vec<Piece>,
    bytes: u64,
    cursor: Cursor,
}

/// Limits of an outline, so that the work for it is bounded too.
#[derive(Clone, Copy, Debug)]
pub struct OutlineLimits {
    /// Bytes of the JSON.
    pub bytes_max: u64,
    /// Bytes of one shipment, which leave room for the text around it.
    pub shipment_bytes_max: u64,
    /// Articles of all its shipments.
    pub articles_max: u64,
}

/// Error of an outline that would be over its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimits {
    /// The shipment alone has more bytes. It was not appended.
    Alone {
        /// Bytes of the shipment.
        bytes: u64,
    },
    /// Everything together is too much.
    Together,
}

#[derive(Clone, Copy)]
enum Piece {
    /// The next so many bytes of the text.
    Text(u32),
    /// As much of a shipment as the caller sees, after a comma if the piece before is one, too.
    Shipment { position: Position, view: View, is_after_another: bool },
}

/// Where rendering goes on.
#[derive(Default)]
struct Cursor {
    piece: usize,
    text: usize,
    record: RecordCursor,
}

impl Outline {
    /// An outline of nothing.
    pub fn new(limits: OutlineLimits) -> Outline {
        let (text, pieces, cursor) = (Vec::new(), Vec::new(), Cursor::default());
        Outline { limits, articles: 0, text, text_end: 0, pieces, bytes: 0, cursor }
    }

    /// Appends text.
    pub fn text(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.bytes += text.len() as u64;
    }

    /// Appends the text that `write` appends to what it is given.
    pub fn text_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.text.len();
        write(&mut self.text);
        self.bytes += (self.text.len() - before) as u64;
    }

    /// Appends what a caller who sees `view` sees of the shipment at `position` of `records`, after a comma if the piece
    /// before is a shipment.
    pub(super) fn shipment(&mut self, records: &Records, position: Position, view: View) -> Result<(), OverLimits> {
        let record = records.record(position);
        let bytes = if view == View::Full {
            self.articles += u64::from(record.article_count());
            if self.articles > self.limits.articles_max {
                return Err(OverLimits::Together);
            }
            record.rendered_bytes() as u64
        } else {
            record.limited_bytes(view) as u64
        };
        if bytes > self.limits.shipment_bytes_max {
            return Err(OverLimits::Alone { bytes });
        }
        self.end_text();
        let is_after_another = matches!(self.pieces.last(), Some(Piece::Shipment { .. }));
        self.bytes += u64::from(is_after_another) + bytes;
        self.pieces.push(Piece::Shipment { position, view, is_after_another });
        self.check()
    }

    /// Checks what was appended so far.
    pub fn check(&self) -> Result<(), OverLimits> {
        if self.bytes > self.limits.bytes_max { Err(OverLimits::Together) } else { Ok(()) }
    }

    /// Bytes of the JSON.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Memory of the outline itself, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.text.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Renders all of it.
    pub(super) fn render(mut self, records: &Records) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes as usize + SPARE_BYTES);
        self.render_part(records, &mut out, usize::MAX);
        out
    }

    /// Appends the next part to `out`, until that has `bytes_max` bytes or a few more: a text, the head of a shipment
    /// and an article are not split. Appends nothing when all is rendered.
    pub(super) fn render_part(&mut self, records: &Records, out: &mut Vec<u8>, bytes_max: usize) {
        self.end_text();
        while out.len() < bytes_max
            && let Some(piece) = self.pieces.get(self.cursor.piece)
        {
            let is_whole = match *piece {
                Piece::Text(bytes) => {
                    let end = self.cursor.text + bytes as usize;
                    out.extend_from_slice(&self.text[self.cursor.text..end]);
                    self.cursor.text = end;
                    true
                }
                Piece::Shipment { position, view, is_after_another } => {
                    if is_after_another && self.cursor.record.is_at_start() {
                        out.push(b',');
                    }
                    let record = records.record(position);
                    if view == View::Full {
                        self.cursor.record.render(record, out, bytes_max)
                    } else {
                        record.render_limited(view, out);
                        true
                    }
                }
            };
            if is_whole {
                self.cursor.piece += 1;
                self.cursor.record = RecordCursor::default();
            }
        }
    }

    fn end_text(&mut self) {
        let bytes = self.text.len() - self.text_end;
        if bytes > 0 {
            self.pieces.push(Piece::Text(bytes as u32));
            self.text_end = self.text.len();
        }
    }
}

/// Where the rendering of a record goes on.
#[derive(Clone, Copy, Default)]
pub(super) struct RecordCursor {
    /// Articles that are rendered.
    pub(super) articles: u32,
    /// Offset of the next article in the record; 0 before the head is rendered.
    pub(super) offset: usize,
}

impl RecordCursor {
    /// True if nothing is rendered.
    pub(super) fn is_at_start(&self) -> bool {
        self.offset == 0
    }

    /// Appends the next part of `record` to `out`, until that has `bytes_max` bytes or a few more. Returns whether the
    /// record is rendered to its end.
    pub(super) fn render(&mut self, record: Record<'_>, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let mut output = Output::after(out);
        let parsed = record.parse();
        let mut cursor = if self.is_at_start() {
            record.write_head(&parsed, &mut output);
            parsed.first_article
        } else {
            record.from(self.offset)
        };
        while self.articles < parsed.articles && output.len() < bytes_max {
            if self.articles > 0 {
                output.constant(b",");
            }
            record.write_article(&mut cursor, &mut output);
            self.articles += 1;
        }
        self.offset = record.offset_of(&cursor);
        let is_whole = self.articles == parsed.articles;
        if is_whole {
            output.constant(AFTER_ARTICLES);
        }
        output.truncate();
        is_whole
    }
}

impl Record<'_> {
    /// Hash of what those see of the shipment who see `view`; `None` if that is over `bytes_max` bytes.
    pub fn hash_of_view(&self, view: View, bytes_max: usize) -> Option<u64> {
        let mut rendered = Vec::new();
        let is_whole = match view {
            View::Full => RecordCursor::default().render(*self, &mut rendered, bytes_max),
            View::Limited | View::Unverified => {
                self.render_limited(view, &mut rendered);
                true
            }
        };
        (is_whole && rendered.len() <= bytes_max).then(|| xxh3_64(&rendered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::dataset::build::Builder;
    use crate::dataset::record::Record;
    use crate::shipment::{Column, FoldedKey, Row};
    use proptest::prelude::*;

    const UNLIMITED: OutlineLimits =
        OutlineLimits { bytes_max: u64::MAX, shipment_bytes_max: u64::MAX, articles_max: u64::MAX };

    /// A dataset of one number whose carriers have shipments of so many articles.
    fn dataset(articles: &[usize]) -> Dataset {
        let builder = Builder::new(1 << 20, 1);
        let mut writer = builder.writer();
        let mut line = 0;
        for (at, articles) in articles.iter().enumerate() {
            let carrier = format!("c{at}");
            for article in 0..*articles {
                let sku = "s".repeat(article % 7);
                let row = Row {
                    tracking_number: "TN1",
                    carrier: &carrier,
                    status: "a \"status\"",
                    article_quantity: "1",
                    article_price: "1.50",
                    sku: &sku,
                    ..Row::default()
                };
                writer.row(line, &row).unwrap();
                line += 1;
            }
        }
        writer.end_block(0, 1 << 20, 1 << 20).unwrap();
        drop(writer);
        let columns = [Column::Status, Column::SenderAddress, Column::ReceiverAddress];
        builder.finish(columns, &mut |_| (), &mut |_| ()).unwrap()
    }

    fn positions(dataset: &Dataset) -> Vec<Position> {
        dataset.positions_with_number(&FoldedKey::new("tn1")).collect()
    }

    proptest! {
        #[test]
        fn parts_of_any_size_make_up_what_is_rendered_at_once(
            articles in proptest::collection::vec(1..40_usize, 1..6), bytes_max in 1..3000_usize, split in 0..6_usize,
        ) {
            let dataset = dataset(&articles);
            let positions = positions(&dataset);
            let split = split.min(positions.len());
            let outline = || {
                let mut outline = Outline::new(UNLIMITED);
                outline.text(b"[");
                for position in &positions[..split] {
                    dataset.outline(&mut outline, *position).unwrap();
                }
                outline.text(b"][");
                for position in &positions[split..] {
                    dataset.outline(&mut outline, *position).unwrap();
                }
                outline.text_with(|out| out.push(b']'));
                outline
            };
            let mut expected = b"[".to_vec();
            Record::render_all(positions[..split].iter().map(|at| dataset.record(*at)), &mut expected);
            expected.extend_from_slice(b"][");
            Record::render_all(positions[split..].iter().map(|at| dataset.record(*at)), &mut expected);
            expected.push(b']');
            prop_assert_eq!(outline().bytes(), expected.len() as u64);
            prop_assert_eq!(&dataset.render(outline()), &expected);

            let (mut outline, mut all) = (outline(), Vec::new());
            loop {
                let mut part = Vec::new();
                dataset.render_part(&mut outline, &mut part, bytes_max);
                // Besides the limit: the longest text, head or article.
                prop_assert!(part.len() < bytes_max + 200, "{}", part.len());
                if part.is_empty() {
                    break;
                }
                all.extend_from_slice(&part);
            }
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn an_outline_ends_at_its_limits() {
        let dataset = dataset(&[3, 5]);
        let positions = positions(&dataset);
        let fits = |bytes_max, articles_max| {
            let mut outline = Outline::new(OutlineLimits { bytes_max, shipment_bytes_max: bytes_max, articles_max });
            positions.iter().try_for_each(|position| dataset.outline(&mut outline, *position))
        };
        let bytes: u64 = positions.iter().map(|position| dataset.record(*position).rendered_bytes() as u64).sum();
        assert_eq!(fits(bytes + 1, 8), Ok(()));
        assert_eq!((fits(bytes, 8), fits(bytes + 1, 7)), (Err(OverLimits::Together), Err(OverLimits::Together)));
        let largest = positions.iter().map(|position| dataset.record(*position).rendered_bytes() as u64).max().unwrap();
        assert_eq!(fits(largest - 1, 8), Err(OverLimits::Alone { bytes: largest }));
        let mut outline = Outline::new(OutlineLimits { bytes_max: 1, shipment_bytes_max: 1, articles_max: 0 });
        outline.text(b"ab");
        assert_eq!(outline.check(), Err(OverLimits::Together));
    }
}
