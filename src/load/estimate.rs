//! The size of a source's content, estimated before it is read.

use std::io;

use super::report::Summary;
use crate::source::{Compression, Opened};

/// Bytes of content that one byte of a compressed export usually expands to. Measured on data of `waybill generate`:
/// 6.4 with gzip, 6.2 with zstd, 9.0 with `zstd -19`.
const RATIO_USUAL: u64 = 6;

/// Estimated size of a source's content, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeEstimate {
    /// Size of the file or object itself.
    pub file_bytes: u64,
    /// Size that the content is hardly ever below.
    pub content_bytes_min: u64,
    /// Size that the content usually has.
    pub content_bytes_usual: u64,
}

impl SizeEstimate {
    /// Estimates the content of what was `opened`. If an `earlier` source was compressed in the same way, the ratio is
    /// assumed to be the same.
    pub fn of(opened: &Opened, earlier: Option<&Summary>) -> io::Result<SizeEstimate> {
        let (file_bytes, compression) = opened.size_and_compression()?;
        let (min, usual) = match (compression, earlier) {
            (None, _) => (file_bytes, file_bytes),
            (Some(_), Some(earlier)) if earlier.compression == compression => {
                let content = in_proportion(earlier.content_bytes, file_bytes, earlier.file_bytes.max(1));
                (content, content)
            }
            (Some(_), _) => (file_bytes, SizeEstimate::usual(file_bytes, compression)),
        };
        Ok(SizeEstimate { file_bytes, content_bytes_min: min, content_bytes_usual: usual })
    }

    /// Size that the content of a file of `file_bytes` bytes usually has.
    pub(super) fn usual(file_bytes: u64, compression: Option<Compression>) -> u64 {
        if compression.is_some() { file_bytes.saturating_mul(RATIO_USUAL) } else { file_bytes }
    }
}

/// Returns what `part` takes if `whole` takes `bytes`; `u64::MAX` if `whole` is 0.
pub(crate) fn in_proportion(bytes: u64, part: u64, whole: u64) -> u64 {
    let scaled = (u128::from(bytes) * u128::from(part)).checked_div(u128::from(whole));
    scaled.and_then(|scaled| u64::try_from(scaled).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    use crate::source::Stamp;

    /// Estimates a file of 1000 bytes that begins with `start`, after one of 100 bytes that was compressed as `earlier`
    /// says and had 900 bytes of content.
    fn estimated(start: &[u8], earlier: Option<Compression>) -> (u64, u64) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all_at(start, 0).unwrap();
        file.as_file().set_len(1000).unwrap();
        let summary = summary(earlier, if earlier.is_some() { 100 } else { 900 });
        let opened = Opened::File(file.path().to_owned());
        let SizeEstimate { file_bytes, content_bytes_min, content_bytes_usual } =
            SizeEstimate::of(&opened, Some(&summary)).unwrap();
        assert_eq!(file_bytes, 1000);
        if earlier.is_none() {
            let first = SizeEstimate::of(&opened, None).unwrap();
            assert_eq!((first.content_bytes_min, first.content_bytes_usual), (content_bytes_min, content_bytes_usual));
        }
        (content_bytes_min, content_bytes_usual)
    }

    fn summary(compression: Option<Compression>, file_bytes: u64) -> Summary {
        Summary {
            rows: 1,
            shard: None,
            rows_elsewhere: 0,
            bad_rows: 0,
            errors: Vec::new(),
            unmapped: None,
            ignored_columns: Vec::new(),
            final_newline_missing: false,
            file_bytes,
            compression,
            content_bytes: 900,
            stamp: Stamp::default(),
            version: String::new(),
            seconds: 0.0,
            peak_bytes: 0,
        }
    }

    #[test]
    fn what_is_compressed_as_before_has_content_in_proportion() {
        let (gzip, zstd) = (b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd");
        for (start, compression) in [(gzip, Compression::Gzip), (zstd, Compression::Zstd)] {
            assert_eq!(estimated(start, Some(compression)), (9000, 9000));
            assert_eq!(estimated(start, None), (1000, 1000 * RATIO_USUAL));
        }
        assert_eq!(estimated(gzip, Some(Compression::Zstd)), (1000, 1000 * RATIO_USUAL));
        for plain in [&b""[..], b"\x1f", b"\x28\xb5\x2f", b"tracking_number"] {
            assert_eq!(estimated(plain, Some(Compression::Gzip)), (1000, 1000));
        }
    }
}
