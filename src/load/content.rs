//! What a file holds: its bytes as they are, or what is compressed in them. The first bytes tell, whatever the name.
//!
//! Compressed content is unpacked as it is read, in buffers of fixed size.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::MultiGzDecoder;

use super::Opened;
use super::report::Summary;
use crate::object;

/// Bytes of a compressed file that are read at a time.
const BUFFER_BYTES: usize = 64 << 10;
/// Memory that a zstd file may ask for to look back in, as a power of two: 8 MiB, which every decoder should have (RFC
/// 8878, section 3.1.1.1.2) and no level up to 19 exceeds.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Bytes of content that a byte of a compressed export often stands for. Measured on made-up data of `waybill generate`:
/// 6.4 with gzip, 6.2 with zstd, 9.0 with `zstd -19`.
const RATIO_USUAL: u64 = 6;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl Compression {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// First bytes that tell.
    pub(super) const MARK_BYTES: usize = 4;

    /// That of `file`, by its first bytes; none where they are the content.
    pub(super) fn of(file: &File) -> io::Result<Option<Compression>> {
        let mut first = [0; Compression::MARK_BYTES];
        match file.read_exact_at(&mut first, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok(Compression::by(&first))
    }

    /// That of what begins with these bytes.
    pub(super) fn by(first: &[u8]) -> Option<Compression> {
        if first.len() < Compression::MARK_BYTES {
            return None;
        }
        match first {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            // The second is a frame to be skipped, with which some compressors begin.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// A source's content, as it is read.
pub(super) enum Content<'f> {
    Plain(Counted<Raw<'f>>),
    Gzip(Box<MultiGzDecoder<Compressed<'f>>>),
    Zstd(Box<zstd::Decoder<'static, Compressed<'f>>>),
}

/// What a source holds, compressed or not.
type Raw<'f> = Box<dyn Read + Send + 'f>;
type Compressed<'f> = BufReader<Counted<Raw<'f>>>;

impl<'f> Content<'f> {
    /// The content of `raw`, which is at its start.
    pub(super) fn new(raw: Raw<'f>, compression: Option<Compression>) -> io::Result<Content<'f>> {
        let raw = Counted { source: raw, bytes: 0 };
        let compressed = |raw| BufReader::with_capacity(BUFFER_BYTES, raw);
        Ok(match compression {
            None => Content::Plain(raw),
            Some(Compression::Gzip) => Content::Gzip(Box::new(MultiGzDecoder::new(compressed(raw)))),
            Some(Compression::Zstd) => {
                let mut decoder = zstd::Decoder::with_buffer(compressed(raw))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Content::Zstd(Box::new(decoder))
            }
        })
    }

    /// Bytes of the file that are done. What was unpacked of them may be a little more than what was read here.
    pub(super) fn position(&self) -> u64 {
        let consumed = |compressed: &Compressed<'_>| compressed.get_ref().bytes - compressed.buffer().len() as u64;
        match self {
            Content::Plain(raw) => raw.bytes,
            Content::Gzip(decoder) => consumed(decoder.get_ref()),
            Content::Zstd(decoder) => consumed(decoder.get_ref()),
        }
    }
}

/// Content that cannot be unpacked is an error of the kind [`io::ErrorKind::InvalidData`], which the system has not.
impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(raw) => raw.read(buffer),
            Content::Gzip(decoder) => decoder.read(buffer).map_err(|error| broken(Compression::Gzip, error)),
            Content::Zstd(decoder) => decoder.read(buffer).map_err(|error| broken(Compression::Zstd, error)),
        }
    }
}

/// An error of a decoder, unless it is the system's or storage's.
fn broken(compression: Compression, error: io::Error) -> io::Error {
    let name = compression.name();
    let reason = match error.kind() {
        _ if error.raw_os_error().is_some() || object::is_of_object(&error) => return error,
        io::ErrorKind::UnexpectedEof => {
            format!("the {name} data end too early: was the file cut, or is something else behind them?")
        }
        _ => {
            let hint = match compression {
                Compression::Gzip => "",
                Compression::Zstd => ", or the window over 8 MiB",
            };
            format!(
                "the {name} data cannot be unpacked: {error}; is the file damaged, something else behind them{hint}?"
            )
        }
    };
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Counts what is read.
pub(super) struct Counted<R> {
    source: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// What can be told of a source's content before it is read, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foretold {
    /// Size of the file or object.
    pub file_bytes: u64,
    /// There is hardly ever less content.
    pub content_bytes_min: u64,
    /// There often is as much.
    pub content_bytes_usual: u64,
}

impl Foretold {
    /// Of what was `opened`. What is compressed as an `earlier` one was is taken to be so as well as that was.
    pub fn of(opened: &Opened, earlier: Option<&Summary>) -> io::Result<Foretold> {
        let (file_bytes, compression) = match opened {
            Opened::File(path) => {
                let file = super::open(path)?;
                (file.metadata()?.len(), Compression::of(&file)?)
            }
            Opened::Object(object) => (object.stamp.bytes(), object.compression),
        };
        let (min, usual) = match (compression, earlier) {
            (None, _) => (file_bytes, file_bytes),
            (Some(_), Some(earlier)) if earlier.compression == compression => {
                let content = in_proportion(earlier.content_bytes, file_bytes, earlier.file_bytes.max(1));
                (content, content)
            }
            (Some(_), _) => (file_bytes, file_bytes.saturating_mul(RATIO_USUAL)),
        };
        Ok(Foretold { file_bytes, content_bytes_min: min, content_bytes_usual: usual })
    }

    /// Of a file that is open.
    pub(super) fn usual(file_bytes: u64, compression: Option<Compression>) -> u64 {
        if compression.is_some() { file_bytes.saturating_mul(RATIO_USUAL) } else { file_bytes }
    }
}

/// What `part` takes where `whole` took `bytes`; without limit where `whole` is nothing.
pub(crate) fn in_proportion(bytes: u64, part: u64, whole: u64) -> u64 {
    let scaled = (u128::from(bytes) * u128::from(part)).checked_div(u128::from(whole));
    scaled.and_then(|scaled| u64::try_from(scaled).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is foretold of a file of 1000 bytes that starts so, after one of 100 bytes that was compressed like this and
    /// had a content of 900.
    fn foretold(start: &[u8], earlier: Option<Compression>) -> (u64, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all_at(start, 0).unwrap();
        file.as_file().set_len(1000).unwrap();
        let mut summary = Summary { file_bytes: 900, content_bytes: 900, ..Summary::default() };
        if earlier.is_some() {
            (summary.compression, summary.file_bytes) = (earlier, 100);
        }
        let opened = Opened::File(file.path().to_owned());
        let Foretold { file_bytes, content_bytes_min, content_bytes_usual } =
            Foretold::of(&opened, Some(&summary)).unwrap();
        assert_eq!(file_bytes, 1000);
        if earlier.is_none() {
            let first = Foretold::of(&opened, None).unwrap();
            assert_eq!((first.content_bytes_min, first.content_bytes_usual), (content_bytes_min, content_bytes_usual));
        }
        (content_bytes_min, content_bytes_usual)
    }

    #[test]
    fn what_is_compressed_as_before_has_content_in_proportion() {
        let (gzip, zstd) = (b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd");
        for (start, compression) in [(gzip, Compression::Gzip), (zstd, Compression::Zstd)] {
            assert_eq!(foretold(start, Some(compression)), (9000, 9000));
            assert_eq!(foretold(start, None), (1000, 1000 * RATIO_USUAL));
        }
        assert_eq!(foretold(gzip, Some(Compression::Zstd)), (1000, 1000 * RATIO_USUAL));
        for plain in [&b""[..], b"\x1f", b"\x28\xb5\x2f", b"tracking_number"] {
            assert_eq!(foretold(plain, Some(Compression::Gzip)), (1000, 1000));
        }
    }
}
