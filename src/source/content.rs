//! Content of a source: its bytes, decompressed if need be. The first bytes tell the compression, whatever the name.
//!
//! Content is decompressed as it is read, in buffers of fixed size.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::MultiGzDecoder;

use super::object;
use crate::cancel::Cancel;

/// Size of the buffer for compressed bytes.
const BUFFER_BYTES: usize = 64 << 10;
/// Largest window of zstd data, as a power of two: 8 MiB, which every decoder should support (RFC 8878, section
/// 3.1.1.1.2) and no level up to 19 exceeds.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Compression of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl Compression {
    /// Name in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// Number of first bytes that tell the compression.
    pub(super) const MAGIC_BYTES: usize = 4;

    /// Detects the compression of `file`; `None` if it is not compressed.
    pub(super) fn detect(file: &File) -> io::Result<Option<Compression>> {
        let mut first = [0; Compression::MAGIC_BYTES];
        match file.read_exact_at(&mut first, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok(Compression::from_magic(&first))
    }

    /// Detects the compression of data with these first bytes.
    pub(super) fn from_magic(first: &[u8]) -> Option<Compression> {
        if first.len() < Compression::MAGIC_BYTES {
            return None;
        }
        match first {
            [0x1f, 0x8b, ..] => Some(Compression::Gzip),
            // The second is a skippable frame, with which some compressors begin.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// Reader of a source's content.
pub(crate) enum Content<'f> {
    Plain(CountingReader<Raw<'f>>),
    Gzip(Box<MultiGzDecoder<Compressed<'f>>>),
    Zstd(Box<zstd::Decoder<'static, Compressed<'f>>>),
}

/// Bytes of a source, compressed or not.
type Raw<'f> = Box<dyn Read + Send + 'f>;
type Compressed<'f> = BufReader<CountingReader<Raw<'f>>>;

impl<'f> Content<'f> {
    /// Creates a reader of the content of `raw`, which is at its start. Once `cancel` is set, reading is an error.
    pub(super) fn new(raw: Raw<'f>, compression: Option<Compression>, cancel: &Cancel) -> io::Result<Content<'f>> {
        let raw = CountingReader { source: raw, bytes: 0, cancel: cancel.clone() };
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

    /// Compression of the source.
    pub(crate) fn compression(&self) -> Option<Compression> {
        match self {
            Content::Plain(_) => None,
            Content::Gzip(_) => Some(Compression::Gzip),
            Content::Zstd(_) => Some(Compression::Zstd),
        }
    }

    /// Number of source bytes that the decoder has consumed, which may be slightly ahead of what was read.
    pub(crate) fn position(&self) -> u64 {
        let consumed = |compressed: &Compressed<'_>| compressed.get_ref().bytes - compressed.buffer().len() as u64;
        match self {
            Content::Plain(raw) => raw.bytes,
            Content::Gzip(decoder) => consumed(decoder.get_ref()),
            Content::Zstd(decoder) => consumed(decoder.get_ref()),
        }
    }
}

/// Data that cannot be decompressed are an error of the kind [`io::ErrorKind::InvalidData`], which no system call
/// returns.
impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Plain(raw) => raw.read(buffer),
            Content::Gzip(decoder) => decoder.read(buffer).map_err(|error| decoder_error(Compression::Gzip, error)),
            Content::Zstd(decoder) => decoder.read(buffer).map_err(|error| decoder_error(Compression::Zstd, error)),
        }
    }
}

/// Explains an error of a decoder. Errors of the system and of storage stay as they are.
fn decoder_error(compression: Compression, error: io::Error) -> io::Error {
    let name = compression.name();
    let reason = match error.kind() {
        _ if error.raw_os_error().is_some() || object::is_object_error(&error) => return error,
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

/// Counts the bytes that are read, until it is cancelled.
pub(crate) struct CountingReader<R> {
    source: R,
    bytes: u64,
    cancel: Cancel,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check()?;
        let read = self.source.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
