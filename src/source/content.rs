//! What a file holds: its bytes as they are, or what is compressed in them. The first bytes tell, whatever the name.
//!
//! Compressed content is unpacked as it is read, in buffers of fixed size.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::MultiGzDecoder;

use super::object;

/// Bytes of a compressed file that are read at a time.
const BUFFER_BYTES: usize = 64 << 10;
/// Memory that a zstd file may ask for to look back in, as a power of two: 8 MiB, which every decoder should have (RFC
/// 8878, section 3.1.1.1.2) and no level up to 19 exceeds.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

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
pub(crate) enum Content<'f> {
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

    /// How it is compressed.
    pub(crate) fn compression(&self) -> Option<Compression> {
        match self {
            Content::Plain(_) => None,
            Content::Gzip(_) => Some(Compression::Gzip),
            Content::Zstd(_) => Some(Compression::Zstd),
        }
    }

    /// Bytes of the file that are done. What was unpacked of them may be a little more than what was read here.
    pub(crate) fn position(&self) -> u64 {
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
pub(crate) struct Counted<R> {
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
